import { html, raw } from 'hono/html';
import { type Html, layout, time } from './layout.ts';
import { notice, stateTag } from './landing.ts';
import type { Change, Shell, SpaceModel } from './model.ts';
import { MARK, summaryOf } from './status.ts';
import type { TextKey } from './texts.ts';

/** One space and all that its member can see and do. */
export function spacePage(shell: Shell, model: SpaceModel): Html {
  const { t } = shell;
  const { name } = model;
  const base = `/spaces/${name}`;
  const state = model.paused && model.state === 'active' ? 'paused' : model.state;
  return layout(
    shell,
    {
      title: name,
      current: 'home',
      back: model.admin
        ? { href: '/admin', text: t('admin.title') }
        : { href: '/spaces', text: t('home.title') },
      tag: stateTag(shell, state),
    },
    html`
      ${notice(shell, { name, state, due: model.due })}
      <div class="grid two">
        <div>
          ${progress(shell, model, base)}
          ${quota(shell, model)}
          <section class="card">
            <h2>${t('space.commits')}</h2>
            ${changeList(shell, model.changes)}
            <p><a href="${base}/history">${t('space.history')}</a></p>
          </section>
        </div>
        <div>
          <section class="card">
            <h2>${t('space.source')}</h2>
            <dl class="pairs">
              <dt>${t('form.repository')}</dt>
              <dd class="mono">${model.repository.url}</dd>
              <dt>${t('form.ref')}</dt>
              <dd class="mono">${model.repository.ref}</dd>
              <dt>${t('form.path')}</dt>
              <dd class="mono">${model.repository.path}</dd>
            </dl>
          </section>
          ${calendar(shell, model)}
          ${model.kubectl ? access(shell, model, base) : ''}
          ${manage(shell, model, base)}
        </div>
      </div>
    `,
  );
}

function progress(shell: Shell, model: SpaceModel, base: string): Html {
  const { t } = shell;
  return html`
    <section class="card">
      <h2>${t('space.progress')}</h2>
      <ol class="mini">${model.steps.map((step) =>
        html`
          <li class="${step.state}"
            data-mark="${MARK[step.state]}"><span>${t(
              `status.${step.key}`,
            )}<span class="hidden">, ${t(`status.${step.state}`)}</span></span></li>
        `
      )}</ol>
      <p>${summaryOf(shell, model.steps)} <a href="${base}/status">${t('space.status')}</a></p>
      <p class="soft small">${t(`space.vault.${model.vault}`)}</p>
    </section>
  `;
}

/** What the space uses, and whether the cluster has it as it was committed. */
function quota({ t }: Shell, model: SpaceModel): Html {
  return html`
    <section class="card">
      <h2>${t('space.quota')}</h2>
      ${model.quota.length === 0
        ? html`<p>${t('space.quota.none')}</p>`
        : model.quota.map((q, i) =>
          html`
            <div
              class="quota"><div><span id="quota-${i}">${quotaName(
                t,
                q.name,
              )}</span><span class="soft">${t(
                'space.quota.of',
                { used: amount(q.used), hard: amount(q.hard) },
              )}</span></div><progress class="${q.percent >= 90
                ? 'full'
                : ''}" aria-labelledby="quota-${i}" max="100" value="${Math.round(
                  Math.min(100, Math.max(0, q.percent)),
                )}">${Math.round(q.percent)} %</progress></div>
          `
        )}
      <h2>${t('space.drift')}</h2>
      ${model.drift === undefined
        ? html`<p>${t('space.drift.unknown')}</p>`
        : model.drift.length === 0
        ? html`<p>${t('space.drift.none')}</p>`
        : html`
          <p>${t('space.drift.some')}</p>
          <ul>${model.drift.map((line) => html`<li>${t.said(line)}</li>`)}</ul>
        `}
    </section>
  `;
}

const QUOTAS = [
  'limits.cpu',
  'requests.cpu',
  'limits.memory',
  'requests.memory',
  'requests.storage',
  'pods',
] as const;

function quotaName(t: Shell['t'], name: string): string {
  const known = QUOTAS.find((q) => q === name);
  // count/kustomizations.kustomize.toolkit.fluxcd.io: the kind is enough for people.
  return known ? t(`quota.${known}` satisfies TextKey) : name.replace(/^count\/([a-z]+).*$/, '$1');
}

/** A Kubernetes quantity as people write it: `640Mi` is 640 MiB, `1900m` is 1.9. */
export function amount(text: string): string {
  const bytes = /^([\d.]+)([KMGT]i)$/i.exec(text);
  if (bytes) return `${bytes[1]} ${bytes[2]}B`;
  const milli = /^(\d+)m$/.exec(text);
  return milli ? String(Number(milli[1]) / 1000) : text;
}

function access({ t }: Shell, { name, namespace }: SpaceModel, base: string): Html {
  const commands = [
    'kubectl krew install oidc-login',
    `export KUBECONFIG=kubeconfig-${name}.yaml`,
    `kubectl get pods -n ${namespace}`,
  ].join('\n');
  return html`
    <section class="card">
      <h2>${t('space.access')}</h2>
      <p>${t('space.access.lead')}</p>
      <pre class="code" tabindex="0">${commands}</pre>
      <p><a class="button second" href="${base}/kubeconfig" download>${t(
        'space.kubeconfig',
      )}</a></p>
    </section>
  `;
}

function calendar({ t }: Shell, model: SpaceModel): Html | '' {
  const { wanted, url, qr, away } = model.calendar;
  if (!wanted) return '';
  return html`
    <section class="card" id="calendar">
      <h2>${t('space.calendar')}</h2>
      <p>${t('space.calendar.lead')}</p>
      ${away
        ? html`
          <div class="note wait" role="alert">
            <p>${t('space.calendar.away')}</p>
          </div>
        `
        : ''}
      ${url
        ? html`<p><a class="mono" href="${url}">${url}</a></p>${
          qr
            // Made by the QR library from our own URL: markup without text of others.
            ? html`<div class="qr" role="img" aria-label="${t('space.calendar.qr')}">${
              raw(qr)
            }</div>`
            : ''
        }<p><a class="button" href="${url.replace(/^https?:/, 'webcal:')}">${
          t('space.calendar.open')
        }</a></p>`
        : ''}
      <form method="post"
        action="/spaces/${model.name}/calendar"><button class="second">${t(
          'space.calendar.make',
        )}</button></form>
    </section>
  `;
}

function manage({ t }: Shell, model: SpaceModel, base: string): Html {
  const leaving = model.state === 'draining' || model.state === 'deleted';
  const stopped = model.state === 'suspended' || model.state === 'exported';
  return html`
    <section class="card">
      <h2>${t('space.manage')}</h2>
      ${leaving ? '' : html`
        <p class="soft small">${stopped ? '' : html`
          <span id="pause-hint">${t('space.suspend.hint')}</span>
        `}${t('space.delete.hint')}</p>
        <div class="row">
          <a class="button second" href="${base}/edit">${t('space.edit')}</a>
          ${stopped ? '' : html`
            <form method="post"
              action="${base}/${model.paused
                ? 'resume'
                : 'suspend'}"><button class="second" aria-describedby="pause-hint">${model.paused
                ? t('space.resume')
                : t('space.suspend')}</button></form>
          `}
          <a class="button second danger" href="${base}/delete">${t('space.delete')}</a>
        </div>
      `}
      ${leaving || model.state === 'exported'
        ? html`
          <p class="row"><a class="button second" href="${base}/export" download>${t(
            'delete.export.link',
          )}</a></p>
        `
        : ''}
    </section>
  `;
}

export function changeList({ t }: Shell, changes: Change[]): Html {
  if (changes.length === 0) return html`<p>${t('space.commits.none')}</p>`;
  return html`<ol class="changes">${
    changes.map((change) =>
      html`<li><span>${change.text}</span> ${
        change.href
          ? html`<a class="mono" href="${change.href}">${change.sha.slice(0, 8)}</a>`
          : html`<span class="mono soft">${change.sha.slice(0, 8)}</span>`
      }<span class="soft small">${t('audit.by', { who: change.who })}, ${
        time(t, change.at)
      }</span></li>`
    )
  }</ol>`;
}

export function historyPage(shell: Shell, name: string, changes: Change[]): Html {
  return layout(
    shell,
    {
      title: shell.t('audit.title', { name }),
      current: 'home',
      back: { href: `/spaces/${name}`, text: name },
    },
    html`
      <p class="soft">${shell.t('audit.lead')}</p>
      <div class="card">${changeList(shell, changes)}</div>
    `,
  );
}

/** Deletion by typed name, the export offered first. */
export function deletePage(shell: Shell, name: string, wrong: boolean): Html {
  const { t } = shell;
  return layout(
    shell,
    {
      title: t('delete.title', { name }),
      current: 'home',
      back: { href: `/spaces/${name}`, text: name },
    },
    html`
      <div class="note bad">
        <p>${t('delete.lead', { name })}</p>
      </div>
      <section class="card">
        <h2>${t('delete.export')}</h2>
        <p>${t('delete.export.data')}</p>
        <p><a class="button second" href="/spaces/${name}/export" download>${t(
          'delete.export.link',
        )}</a></p>
      </section>
      <form class="card danger" method="post" action="/spaces/${name}/delete">
        <h2>${t('delete.then')}</h2>
        <div class="field ${wrong ? 'bad' : ''}"><label for="typed">${t('delete.typed', {
          name,
        })}</label>
      ${wrong
        ? html`<span class="fault" id="typed-fault" role="alert">${t('delete.wrong')}</span>`
        : ''}
      <input class="short" type="text" id="typed" name="typed" autocomplete="off" autocapitalize="none" spellcheck="false" ${wrong
        ? raw('aria-invalid="true" aria-describedby="typed-fault"')
        : ''}></div>
        <p
          class="row"><button class="danger">${t(
            'delete.confirm',
          )}</button> <a href="/spaces/${name}">${t('check.back')}</a></p>
      </form>
    `,
  );
}
