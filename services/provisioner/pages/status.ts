import { html } from 'hono/html';
import { type Html, layout, time } from './layout.ts';
import type { Shell, StatusModel, StatusStep } from './model.ts';

const MARK = { done: '✓', pending: '…', failed: '!', unknown: '?' } as const;

/** How far a space is: five steps in plain words. Reloads itself only while something is pending. */
export function statusPage(shell: Shell, model: StatusModel): Html {
  const { t } = shell;
  const open = model.steps.find((step) => step.state !== 'done');
  const summary = open ? t('status.some', { step: t(`status.${open.key}`) }) : t('status.all');
  return layout(
    shell,
    { title: t('status.title', { name: model.name }), ...(model.pending ? { refresh: 5 } : {}) },
    html`
      ${model.pending ? html`<p class="soft">${t('status.lead')}</p>` : ''}
      <div data-live="${model.pending ? 'pending' : 'settled'}">
        <p role="status" class="lead">${summary}</p>
        <ol class="steps">${model.steps.map((step) => stepItem(shell, step))}</ol>
      </div>
      <p><a class="button second" href="/spaces/${model.name}">${model.name}</a></p>
    `,
  );
}

function stepItem({ t }: Shell, step: StatusStep): Html {
  return html`<li class="${step.state}" data-mark="${MARK[step.state]}">
<h2>${t(`status.${step.key}`)} <span class="tag ${step.state}">${
    t(`status.${step.state}`)
  }</span></h2>
<p>${step.text}${
    step.at
      ? html`
        <span class="soft">${time(step.at)}</span>
      `
      : ''
  }</p>
${step.link ? html`<p><a href="${step.link.href}">${step.link.text}</a></p>` : ''}
${
    step.help
      ? html`
        <div class="note">
          <p><b>${t('status.help')}</b></p>
          <p>${step.help}</p>
        </div>
      `
      : ''
  }
</li>`;
}
