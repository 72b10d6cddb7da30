import { html, raw } from 'hono/html';
import { type Html, layout, time } from './layout.ts';
import { stateTag } from './landing.ts';
import type { AdminModel, Problem, Shell } from './model.ts';
import type { TextKey } from './texts.ts';

/** All spaces: search, filter, what the next sweep would do, and whether the breaker holds it back. */
export function adminPage(shell: Shell, model: AdminModel): Html {
  const { t } = shell;
  const breaker = model.breaker &&
    html`
      <div class="note ${model.breaker.open ? 'bad' : 'ok'}" ${model.breaker.open
        ? raw('role="alert"')
        : ''}>
        <p>${model.breaker.open
          ? t('admin.breaker.open', { count: model.breaker.count, limit: model.breaker.limit })
          : t('admin.breaker.closed')}</p>
      </div>
    `;
  return layout(
    shell,
    { title: t('admin.title'), current: 'admin' },
    html`
      ${breaker ?? ''}
      <form method="get" action="/admin" role="search" class="row">
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
            html`<option value="${state}" ${
              state === model.state ? raw('selected') : ''
            }>${state}</option>`
          )}</select></div>
        <button class="second">${t('admin.find')}</button>
      </form>
      <p class="soft" role="status">${t('admin.count', { count: model.total })}</p>
      ${model.rows.length === 0 ? html`<p>${t('admin.none')}</p>` : html`
        <div class="scroll" tabindex="0" role="region" aria-label="${t('admin.title')}">
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
                  <td>${stateTag(shell, row.state)}</td>
                  <td>${row.plan}</td>
                  <td class="mono">${row.owner}</td>
                  <td>${time(row.since)}</td>
                </tr>
              `
            )}</tbody>
          </table>
        </div>
      `}
      ${model.next ? html`<p><a href="${model.next}">${t('admin.next')}</a></p>` : ''}
      ${model.sweep
        ? html`<h2>${t('admin.sweep')}</h2>${
          model.sweep.length === 0
            ? html`<p>${t('admin.sweep.none')}</p>`
            : html`<ul>${
              model.sweep.map((step) =>
                html`<li><b>${step.name}</b> → ${
                  stateTag(shell, step.to)
                } <span class="soft">${step.why}</span></li>`
              )
            }</ul>`
        }`
        : ''}
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
  return layout(
    shell,
    { title: t('error.title') },
    html`${key ? html`<p class="lead">${t(key)}</p>` : ''}
${problem.code === 'internal' ? '' : html`<p>${problem.detail}</p>`}
${
      problem.faults
        ? html`<ul>${problem.faults.map((f) => html`<li>${f.path} ${f.message}</li>`)}</ul>`
        : ''
    }
<p class="row"><a class="button" href="/">${t('error.home')}</a></p>
<p class="soft">${t('error.id', { id: problem.requestId })}</p>`,
  );
}
