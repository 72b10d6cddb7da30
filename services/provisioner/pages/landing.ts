import { html } from 'hono/html';
import { type Html, layout } from './layout.ts';
import type { Membership, Shell } from './model.ts';

export function landingPage(shell: Shell): Html {
  const { t, space, member } = shell;
  return layout(
    shell,
    { title: t('landing.title', { space: space.name }) },
    html`
      <p class="lead">${t('landing.lead')}</p>
      <p><a class="button" href="${member ? '/spaces' : '/login?to=/spaces'}">${member
        ? t('nav.home')
        : t('landing.start')}</a></p>
      <h2>${t('landing.how')}</h2>
      <ol>
        <li>${t('landing.step1', { space: space.name })}</li>
        <li>${t('landing.step2')}</li>
        <li>${t('landing.step3')}</li>
      </ol>
      <div class="note">
        <p>${t('landing.promise')}</p>
      </div>
    `,
  );
}

export interface HomeModel {
  membership: Membership;
  spaces: { name: string; state: string; repository: string }[];
  mayAsk: boolean;
}

export function homePage(shell: Shell, model: HomeModel): Html {
  const { t } = shell;
  const list = model.spaces.length
    ? html`${
      model.spaces.map((space) =>
        html`
          <div class="card">
            <div class="row"><a href="/spaces/${space.name}"><b>${space.name}</b></a> ${stateTag(
              shell,
              space.state,
            )}</div>
            <p class="soft mono">${space.repository}</p>
          </div>
        `
      )
    }`
    : html`<p>${t('home.none')}</p>`;
  return layout(
    shell,
    { title: t('home.title'), current: 'home' },
    html`${membershipNote(shell, model.membership)}${list}${
      model.mayAsk ? html`<p><a class="button" href="/spaces/new">${t('home.new')}</a></p>` : ''
    }`,
  );
}

/** What the membership says, kindly: paid, not paid and how to, or not known and nothing lost. */
export function membershipNote(shell: Shell, membership: Membership): Html {
  const { t, space } = shell;
  if (membership === 'yes') {
    return html`
      <div class="note ok">
        <p>${t('member.yes')}</p>
      </div>
    `;
  }
  if (membership === 'unknown') {
    return html`
      <div class="note wait">
        <p><b>${t('member.unknown')}</b></p>
        <p>${t('member.unknown.help')}</p>
      </div>
    `;
  }
  return html`<div class="note wait"><p><b>${t('member.no')}</b></p><p>${t('member.no.help')}</p>${
    space.join ? html`<p><a href="${space.join}">${t('member.no.link')}</a></p>` : ''
  }</div>`;
}

const STATES = [
  'active',
  'paused',
  'grace',
  'suspended',
  'exported',
  'draining',
  'deleted',
] as const;

export function stateTag({ t }: Shell, state: string): Html {
  const known = STATES.find((s) => s === state);
  return html`<span class="tag ${known ?? ''}">${known ? t(`state.${known}`) : state}</span>`;
}
