import { html, raw } from 'hono/html';
import { type Html, layout, time } from './layout.ts';
import { stateName, stateTag } from './landing.ts';
import type { AdminModel, Problem, Shell } from './model.ts';
import type { TextKey } from './texts.ts';

/** All spaces: search, filter, what the next sweep would do, and whether the breaker holds it back. */
export function adminPage(shell: Shell, model: AdminModel): Html {
  const { t } = shell;
  const open = model.breaker?.open ? model.breaker : undefined;
  const cell = (key: TextKey, content: string | Html, kind = '') =>
    html`<td class="${kind}" data-label="${t(key)}">${content}</td>`;
  return layout(
    shell,
    { title: t('admin.title'), current: 'admin' },
    html`
      ${open
        ? html`
          <div class="note bad" role="alert">
            <p>${t('admin.breaker.open', { count: open.count, limit: open.limit })}</p>
          </div>
        `
        : ''}
      <form method="get" action="/admin" role="search" class="find">
        <div
          class="field"><label for="q">${t(
            'admin.search',
          )}</label><input type="search" id="q" name="q" value="${model
            .query}" maxlength="200"></div>
        <div
          class="field"><label for="state">${t(
            'admin.state',
          )}</label><select id="state" name="state"><option value="">${t(
            'admin.any',
          )}</option>${model.states.map((state) =>
            html`<option value="${state}" ${state === model.state ? raw('selected') : ''}>${
              stateName(shell, state)
            }</option>`
          )}</select></div>
        <button class="second">${t('admin.find')}</button>
      </form>
      ${model.rows.length === 0
        ? html`
          <div class="card empty">
            <p role="status">${t('admin.none')}</p>
          </div>
        `
        : html`
          <p class="soft" role="status">${t('admin.count', { count: model.total })}</p>
          <div class="card stack">
            <table>
              <thead>
                <tr>
                  <th scope="col">${t('admin.name')}</th>
                  <th scope="col">${t('admin.state')}</th>
                  <th scope="col">${t('admin.plan')}</th>
                  <th scope="col">${t('admin.owner')}</th>
                  <th scope="col">${t('admin.since')}</th>
                </tr>
              </thead>
              <tbody>${model.rows.map((row) =>
                html`
                  <tr>
                    <th scope="row"><a href="/admin/spaces/${row.name}">${row.name}</a></th>
                    ${cell('admin.state', stateTag(shell, row.state))}
                    ${cell('admin.plan', row.plan)} ${cell('admin.owner', row.owner, 'mono')}
                    ${cell('admin.since', time(t, row.since))}
                  </tr>
                `
              )}</tbody>
            </table>
          </div>
        `}
      ${model.next ? html`<p><a href="${model.next}">${t('admin.next')}</a></p>` : ''}
      <section class="card">
        <h2>${t('admin.sweep')}</h2>
        ${model.sweep === undefined
          ? html`<p>${t('admin.sweep.unknown')}</p>`
          : model.sweep.length === 0
          ? html`<p>${t('admin.sweep.none')}</p>`
          : html`<ol class="changes">${
            model.sweep.map((step) =>
              html`<li><b>${step.name}</b> <span>${stateTag(shell, step.to)}</span> <span
                class="soft small">${t.said(step.why)}</span></li>`
            )
          }</ol>`}
        ${model.breaker && !open
          ? html`
            <p class="soft small">${t('admin.breaker.closed')}</p>
          `
          : ''}
      </section>
    `,
  );
}

const IN_WORDS: Partial<Record<Problem['code'], TextKey>> = {
  unavailable: 'error.unavailable',
  not_found: 'error.not_found',
  forbidden: 'error.forbidden',
  internal: 'error.internal',
  rate_limited: 'error.rate_limited',
};

/** Any error, in words, with the number that leads to the log. */
export function errorPage(shell: Shell, problem: Problem): Html {
  const { t } = shell;
  const key = IN_WORDS[problem.code];
  const more = problem.code === 'internal' || problem.code === 'not_found';
  return layout(
    shell,
    { title: t(problem.code === 'not_found' ? 'error.title.not_found' : 'error.title') },
    html`${key ? html`<p class="lead">${t(key)}</p>` : ''}
${more ? '' : html`<p>${t.said(problem.detail)}</p>`}
${
      problem.faults
        ? html`<ul>${problem.faults.map((f) => html`<li>${f.path} ${t.said(f.message)}</li>`)}</ul>`
        : ''
    }
<p class="row"><a class="button" href="/">${t('error.home')}</a></p>
<p class="soft small">${t('error.id')} <code>${problem.requestId}</code></p>`,
  );
}
