import { html } from 'hono/html';
import { type Html, layout, time } from './layout.ts';
import type { Shell, StatusModel, StatusStep } from './model.ts';

export const MARK = { done: '✓', pending: '…', failed: '!', unknown: '?' } as const;

/** What the first step that is not done says, in one sentence. */
export function summaryOf({ t }: Shell, steps: Pick<StatusStep, 'key' | 'state'>[]): string {
  const red = steps.find((step) => step.state === 'failed');
  if (red) return t('status.red', { step: t(`status.${red.key}`) });
  const open = steps.find((step) => step.state !== 'done');
  return open ? t('status.some', { step: t(`status.${open.key}`) }) : t('status.all');
}

/** How far a space is: five steps in plain words. Reloads itself only while something is pending. */
export function statusPage(shell: Shell, model: StatusModel): Html {
  const { t } = shell;
  const title = t('status.title', { name: model.name });
  const label = `${title}: ${t('status.summary')}`;
  return layout(
    shell,
    {
      title,
      current: 'home',
      back: { href: `/spaces/${model.name}`, text: model.name },
      ...(model.pending ? { refresh: 5 } : {}),
    },
    html`
      <div data-live="${model.pending ? 'pending' : 'settled'}">
        <p role="status" aria-label="${label}" class="lead" data-part="summary">${summaryOf(
          shell,
          model.steps,
        )}</p>
        <div class="card">
          <ol class="steps" data-part="steps">${model.steps.map((step) =>
            stepItem(shell, step)
          )}</ol>
        </div>
        <p class="soft" data-part="lead">${model.pending ? t('status.lead') : ''}</p>
      </div>
    `,
  );
}

function stepItem({ t }: Shell, step: StatusStep): Html {
  return html`<li class="${step.state}" data-mark="${MARK[step.state]}">
<h2>${t(`status.${step.key}`)} <span class="tag ${step.state}">${
    t(`status.${step.state}`)
  }</span></h2>
<p>${t.said(step.text)}</p>${step.at ? html`<p class="soft small">${time(t, step.at)}</p>` : ''}
${step.link ? html`<p><a href="${step.link.href}">${step.link.text}</a></p>` : ''}
${
    step.help
      ? html`
        <div class="note">
          <p><b>${t('status.help')}</b></p>
          <p>${t.said(step.help)}</p>
        </div>
      `
      : ''
  }
</li>`;
}
