import { html } from 'hono/html';
import { day, type Html, layout } from './layout.ts';
import type { Membership, Shell } from './model.ts';

export function landingPage(shell: Shell): Html {
  const { t, space, member } = shell;
  return layout(
    shell,
    { title: t('landing.title', { space: space.name }) },
    html`
      <p class="lead">${t('landing.lead')}</p>
      <p class="row"><a class="button" href="${member ? '/spaces' : '/login?to=/spaces'}">${member
        ? t('nav.home')
        : t('landing.start')}</a>${space.join
        ? html`
          <a href="${space.join}">${t('member.no.link')}</a>
        `
        : ''}</p>
      <h2>${t('landing.how')}</h2>
      <ol class="ways grid three">
        <li class="card">${t('landing.step1', { space: space.name })}</li>
        <li class="card">${t('landing.step2')}</li>
        <li class="card">${t('landing.step3')}</li>
      </ol>
      <div class="note">
        <p>${t('landing.promise')}</p>
      </div>
    `,
  );
}

export interface HomeModel {
  membership: Membership;
  spaces: { name: string; state: string; repository: string; due?: string }[];
  mayAsk: boolean;
}

export function homePage(shell: Shell, model: HomeModel): Html {
  const { t } = shell;
  const ask = (kind: string) =>
    model.mayAsk
      ? html`<p><a class="button ${kind}" href="/spaces/new">${t('home.new')}</a></p>`
      : '';
  const list = model.spaces.length
    ? html`${
      model.spaces.map((space) =>
        html`
          <section class="card" aria-labelledby="space-${space.name}">
            <div class="title">
              <h2 id="space-${space.name}"><a href="/spaces/${space.name}">${space.name}</a></h2>
              ${stateTag(shell, space.state)}
            </div>
            ${notice(shell, space)}
            <p class="soft mono">${space.repository}</p>
          </section>
        `
      )
    }${ask('second')}`
    : html`
      <div class="card empty">
        <p>${t('home.none')} ${model.mayAsk ? t('home.none.ask') : ''}</p>
        ${ask('')}
      </div>
    `;
  return layout(
    shell,
    { title: t('home.title'), current: 'home' },
    html`${membershipNote(shell, model.membership)}${list}`,
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

/** What a state other than the usual one means for its member, and until when. */
export function notice(
  { t }: Shell,
  space: { name: string; state: string; due?: string | undefined },
): Html | '' {
  const { name } = space;
  const date = space.due ? day(t, space.due) : t('notice.soon');
  const say = (kind: string, text: string) =>
    html`
      <div class="note ${kind}">
        <p>${text}</p>
      </div>
    `;
  switch (space.state) {
    case 'grace':
      return say('wait', t('notice.grace', { name, date }));
    case 'suspended':
      return say('bad', t('notice.suspended', { name, date }));
    case 'exported':
      return say('bad', t('notice.exported', { name, date }));
    case 'draining':
      return say('bad', t('notice.draining', { name }));
    case 'paused':
      return say('', t('notice.paused', { name }));
    default:
      return '';
  }
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

export function stateName({ t }: Shell, state: string): string {
  const known = STATES.find((s) => s === state);
  return known ? t(`state.${known}`) : state;
}

export function stateTag(shell: Shell, state: string): Html {
  const known = STATES.find((s) => s === state);
  return html`<span class="tag ${known ?? ''}">${stateName(shell, state)}</span>`;
}
