import { html, raw } from 'hono/html';
import { day, type Html, layout, time } from './layout.ts';
import { stateTag } from './landing.ts';
import type { Change, Shell, SpaceModel } from './model.ts';

/** One space and all that its member can see and do. */
export function spacePage(shell: Shell, model: SpaceModel): Html {
  const { t } = shell;
  const base = `/spaces/${model.name}`;
  return layout(
    shell,
    { title: model.name, current: 'home' },
    html`
      <p class="row">${stateTag(
        shell,
        model.paused && model.state === 'active' ? 'paused' : model.state,
      )}
      <a href="${base}/status">${t('space.status')}</a></p>
      ${notice(shell, model)}
      <div class="card">
        <dl class="pairs">
          <dt>${t('form.repository')}</dt>
          <dd class="mono">${model.repository.url}</dd>
          <dt>${t('form.ref')}</dt>
          <dd class="mono">${model.repository.ref}</dd>
          <dt>${t('form.path')}</dt>
          <dd class="mono">${model.repository.path}</dd>
        </dl>
      </div>

      <h2>${t('space.quota')}</h2>
      ${model.quota.length === 0
        ? html`<p>${t('space.quota.none')}</p>`
        : model.quota.map((q, i) =>
          html`
            <div
              class="quota"><div><span id="quota-${i}">${q.name}</span><span class="soft">${t(
                'space.quota.of',
                { used: q.used, hard: q.hard },
              )}</span></div><progress aria-labelledby="quota-${i}" max="100" value="${Math.round(
                Math.min(100, Math.max(0, q.percent)),
              )}">${Math.round(q.percent)} %</progress></div>
          `
        )}
      <div class="note ${model.vault === 'open' ? 'ok' : 'wait'}">
        <p>${t(`space.vault.${model.vault}`)}</p>
      </div>

      <h2>${t('space.drift')}</h2>
      ${model.drift === undefined
        ? html`<p>${t('status.unknown')}</p>`
        : model.drift.length === 0
        ? html`<p>${t('space.drift.none')}</p>`
        : html`
          <p>${t('space.drift.some')}</p>
          <ul>${model.drift.map((line) => html`<li class="mono">${line}</li>`)}</ul>
        `}

      ${model.kubectl ? access(shell, base) : ''}
      ${calendar(shell, model)}

      <h2>${t('space.commits')}</h2>
      ${changeList(shell, model.changes)}
      <p><a href="${base}/history">${t('space.history')}</a></p>

      <h2>${t('space.manage')}</h2>
      <div class="row">
        <a class="button second" href="${base}/edit">${t('space.edit')}</a>
        <form method="post"
          action="${base}/${model.paused
            ? 'resume'
            : 'suspend'}"><button class="second" aria-describedby="pause-hint">${model.paused
            ? t('space.resume')
            : t('space.suspend')}</button></form>
        <a class="button second" href="${base}/delete">${t('space.delete')}</a>
      </div>
      <p class="hint" id="pause-hint">${t('space.suspend.hint')}</p>
    `,
  );
}

function notice({ t }: Shell, model: SpaceModel): Html | '' {
  const date = model.due ? day(model.due) : '…';
  const { name } = model;
  switch (model.state) {
    case 'grace':
      return html`
        <div class="note wait" role="alert">
          <p>${t('notice.grace', { name, date })}</p>
        </div>
      `;
    case 'suspended':
      return html`
        <div class="note bad" role="alert">
          <p>${t('notice.suspended', { name, date })}</p>
        </div>
      `;
    case 'exported':
      return html`
        <div class="note bad" role="alert">
          <p>${t('notice.exported', { name, date })}</p>
        </div>
      `;
    case 'draining':
      return html`
        <div class="note bad" role="alert">
          <p>${t('notice.draining', { name })}</p>
        </div>
      `;
    default:
      return model.paused
        ? html`
          <div class="note">
            <p>${t('notice.paused', { name })}</p>
          </div>
        `
        : '';
  }
}

function access({ t }: Shell, base: string): Html {
  return html`
    <h2>${t('space.access')}</h2>
    <p>${t('space.access.lead')}</p>
    <p><a class="button second" href="${base}/kubeconfig" download>${t('space.kubeconfig')}</a></p>
  `;
}

function calendar({ t }: Shell, model: SpaceModel): Html | '' {
  const { wanted, url, qr, away } = model.calendar;
  if (!wanted) return '';
  return html`
    <h2>${t('space.calendar')}</h2>
    <p>${t('space.calendar.lead')}</p>
    ${away
      ? html`
        <div class="note wait">
          <p>${t('space.calendar.away')}</p>
        </div>
      `
      : ''}
    ${url
      ? html`<div class="card"><p><a class="mono" href="${url}">${url}</a></p>${
        qr
          // Made by the QR library from our own URL: markup without text of others.
          ? html`<div class="qr" role="img" aria-label="${t('space.calendar.qr')}">${raw(qr)}</div>`
          : ''
      }</div>`
      : ''}
    <form method="post"
      action="/spaces/${model.name}/calendar"><button class="second">${t(
        'space.calendar.make',
      )}</button></form>
  `;
}

export function changeList({ t }: Shell, changes: Change[]): Html {
  if (changes.length === 0) return html`<p>${t('space.commits.none')}</p>`;
  return html`<ol class="changes">${
    changes.map((change) =>
      html`<li>${change.text} <span class="soft">${t('audit.by', { who: change.who })}, ${
        time(change.at)
      }</span> ${
        change.href
          ? html`<a class="mono" href="${change.href}">${change.sha.slice(0, 8)}</a>`
          : html`<span class="mono soft">${change.sha.slice(0, 8)}</span>`
      }</li>`
    )
  }</ol>`;
}

export function historyPage(shell: Shell, name: string, changes: Change[]): Html {
  return layout(shell, { title: shell.t('audit.title', { name }) }, changeList(shell, changes));
}

/** Deletion by typed name, the export offered first. */
export function deletePage(shell: Shell, name: string, wrong: boolean): Html {
  const { t } = shell;
  return layout(
    shell,
    { title: t('delete.title', { name }) },
    html`
      <div class="note bad">
        <p>${t('delete.lead', { name })}</p>
      </div>
      <h2>${t('delete.export')}</h2>
      <p><a class="button second" href="/spaces/${name}/export" download>${t(
        'delete.export.link',
      )}</a></p>
      <p class="soft">${t('delete.export.data')}</p>
      <form method="post" action="/spaces/${name}/delete">
        <div class="field ${wrong ? 'bad' : ''}"><label for="typed">${t('delete.typed', {
          name,
        })}</label>
      ${wrong
        ? html`<span class="fault" id="typed-fault" role="alert">${t('delete.wrong')}</span>`
        : ''}
      <input type="text" id="typed" name="typed" autocomplete="off" autocapitalize="none" spellcheck="false" ${wrong
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
