import { html, raw } from 'hono/html';
import { type Html, layout } from './layout.ts';
import { membershipNote } from './landing.ts';
import type { CheckModel, FormModel, FormValues, Shell } from './model.ts';
import type { TextKey } from './texts.ts';

interface Field {
  name: 'name' | 'url' | 'ref' | 'path';
  label: TextKey;
  hint: string;
  short?: true;
  /** Where a fault of this field is reported. */
  fault: string;
}

/** Asking for a space, and changing one: the same form, the name fixed in the second case. */
export function formPage(shell: Shell, model: FormModel): Html {
  const { t } = shell;
  const title = model.editing ? t('form.edit', { name: model.editing }) : t('form.title');
  const typed = model.editing !== undefined || model.values.name !== '' || model.values.url !== '';
  if (model.membership !== 'yes' && !typed) {
    return layout(shell, { title, current: 'new' }, membershipNote(shell, model.membership));
  }
  const example = `${model.hosts[0] ?? 'https://git.example'}/you/space`;
  const fields: Field[] = [
    { name: 'name', label: 'form.name', hint: t('form.name.hint'), short: true, fault: 'name' },
    {
      name: 'url',
      label: 'form.repository',
      hint: t('form.repository.hint', { hosts: model.hosts.join(', '), example }),
      fault: 'repository.url',
    },
    {
      name: 'ref',
      label: 'form.ref',
      hint: t('form.ref.hint'),
      short: true,
      fault: 'repository.ref',
    },
    {
      name: 'path',
      label: 'form.path',
      hint: t('form.path.hint'),
      short: true,
      fault: 'repository.path',
    },
  ];
  const shown = model.editing ? fields.filter((f) => f.name !== 'name') : fields;
  const faults = model.faults.map(({ path, message }) => {
    const field = fields.find((f) => f.fault === path);
    return {
      path,
      message: t.said(message),
      id: path === 'plan' ? 'plan' : field?.name ?? 'form',
      label: path === 'plan' ? t('form.plan') : field ? t(field.label) : path,
    };
  });
  const faultOf = (path: string) => faults.find((f) => f.path === path)?.message;

  const summary = faults.length
    ? html`
      <div class="note bad" role="alert">
        <p><b>${t('form.faults')}</b></p>
        <ul>${faults.map(({ id, label, message }) =>
          html`<li><a href="#${id}">${label} ${message}</a></li>`
        )}</ul>
      </div>
    `
    : '';
  const text = (field: Field) => {
    const fault = faultOf(field.fault);
    const described = `${field.name}-hint${fault ? ` ${field.name}-fault` : ''}`;
    return html`<div class="field ${fault ? 'bad' : ''}">
<label for="${field.name}">${t(field.label)}</label>
<span class="hint" id="${field.name}-hint">${field.hint}</span>
${fault ? html`<span class="fault" id="${field.name}-fault">${fault}</span>` : ''}
<input class="${field.short ? 'short' : ''}" type="${
      field.name === 'url' ? 'url' : 'text'
    }" id="${field.name}" name="${field.name}" value="${
      model.values[field.name]
    }" aria-describedby="${described}" ${
      fault ? raw('aria-invalid="true"') : ''
    } autocapitalize="none" spellcheck="false" maxlength="300">
</div>`;
  };
  const plan = model.plans.map((p) =>
    html`
      <div
        class="choice plan"><input type="radio" id="plan-${p.id}" name="plan" value="${p
          .id}" ${p.id === model.values.plan ? raw('checked') : ''}><label for="plan-${p.id}">${p
          .title} <span class="soft">${p.limits}</span></label></div>
    `
  );
  return layout(
    shell,
    model.editing
      ? { title, current: 'home', back: { href: `/spaces/${model.editing}`, text: model.editing } }
      : { title, current: 'new' },
    html`${summary}${model.membership === 'yes' ? '' : membershipNote(shell, model.membership)}${
      model.kept
        ? html`
          <div class="note">
            <p>${t('form.kept')}</p>
          </div>
        `
        : ''
    }
<form method="post" action="${
      model.editing ? `/spaces/${model.editing}/edit` : '/spaces/new'
    }" id="form" novalidate>
${text(shown[0]!)}
<fieldset class="field ${faultOf('plan') ? 'bad' : ''}" id="plan"><legend>${t('form.plan')}</legend>
${faultOf('plan') ? html`<span class="fault">${faultOf('plan')}</span>` : ''}${plan}</fieldset>
${shown.slice(1).map(text)}
<div class="field"><div class="choice"><input type="checkbox" id="calendar" name="calendar" value="yes" ${
      model.values.calendar ? raw('checked') : ''
    }><label for="calendar">${t('form.calendar')}</label></div></div>
<button>${t('form.next')}</button>
</form>`,
  );
}

/** The answers and the real change, before anything is written. */
export function checkPage(shell: Shell, model: CheckModel): Html {
  const { t } = shell;
  const { values } = model;
  const back = model.editing ? `/spaces/${model.editing}/edit` : '/spaces/new';
  const hidden = (extra: Record<string, string>) =>
    Object.entries({ ...toFields(values), ...extra }).map(([name, value]) =>
      html`<input type="hidden" name="${name}" value="${value}">`
    );
  const answers = String(new URLSearchParams(toFields(values)));
  const pair = (key: TextKey, value: string) =>
    html`
      <dt>${t(key)}</dt>
      <dd>${value}</dd>
    `;
  const nothing = model.files.length === 0;
  return layout(
    shell,
    {
      title: t('check.title'),
      current: model.editing ? 'home' : 'new',
      back: { href: `${back}?${answers}`, text: t('check.change') },
    },
    html`
      <p class="lead">${t('check.lead')}</p>
      ${model.stale
        ? html`
          <div class="note wait" role="alert">
            <p>${t('check.stale')}</p>
          </div>
        `
        : ''}
      <h2>${t('check.answers')}</h2>
      <div class="card">
        <dl class="pairs">${pair('form.name', values.name)}${pair(
          'form.plan',
          model.planTitle,
        )}${pair('form.repository', values.url)}${pair('form.ref', values.ref)}${pair(
          'form.path',
          values.path,
        )}${pair('check.calendar', t(values.calendar ? 'check.yes' : 'check.no'))}</dl>
      </div>
      <h2>${t('check.effects')}</h2>
      ${nothing ? html`<p>${t('check.none')}</p>` : html`
        <ul>
          <li>${model.editing
            ? t('check.effect.update', { name: values.name })
            : t('check.effect.create', { namespace: model.namespace })}</li>
          <li>${t('check.effect.repo', { url: values.url })}</li>
          <li>${t('check.effect.commit')}</li>
        </ul>
        <details class="outer">
          <summary>${t('check.diff', { files: model.files.length })}</summary>
          <div>${model.files.map((file) => fileDiff(shell, file))}</div>
        </details>
      `}
      <form method="post"
        action="${back}/check">${hidden({ agreed: model.preview })}<p class="row">${nothing
          ? ''
          : html`<button>${t('check.confirm')}</button>`}<a href="${model.editing
          ? `/spaces/${model.editing}`
          : '/spaces'}">${t('check.back')}</a></p></form>
    `,
  );
}

const FILES = [
  'namespace.yaml',
  'resourcequota.yaml',
  'limitrange.yaml',
  'networkpolicy-deny.yaml',
  'networkpolicy-allow.yaml',
  'serviceaccount.yaml',
  'rolebinding.yaml',
  'gitrepository.yaml',
  'sync.yaml',
  'secretstore.yaml',
  'kustomization.yaml',
  'tenant.json',
] as const;

/** One file: what it is for, and how it changes. */
function fileDiff({ t }: Shell, file: CheckModel['files'][number]): Html {
  const known = FILES.find((name) => file.path.endsWith(`/${name}`));
  const lines = file.diff.split('\n').map((line) => {
    const kind = line.startsWith('@@')
      ? 'at'
      : line.startsWith('+')
      ? 'add'
      : line.startsWith('-')
      ? 'del'
      : '';
    return html`<span class="${kind}">${line || ' '}</span>`;
  });
  return html`
    <details>
      <summary><span class="mono">${file.path}</span> <span class="soft">${t(
        `check.${file.kind}`,
      )}</span></summary>
      ${known ? html`<p class="soft">${t(`file.${known}`)}</p>` : ''}
      <pre class="diff" tabindex="0">${lines}</pre>
    </details>
  `;
}

/** The form's fields as the browser sends them. */
export function toFields(values: FormValues): Record<string, string> {
  const { name, plan, url, ref, path } = values;
  return { name, plan, url, ref, path, ...(values.calendar ? { calendar: 'yes' } : {}) };
}

/** What a browser sent, as typed: unknown fields are dropped, missing ones are empty. */
export function fromFields(fields: Record<string, unknown>): FormValues {
  const text = (key: string, otherwise = '') => {
    const value = fields[key];
    return typeof value === 'string' ? value.trim().slice(0, 400) : otherwise;
  };
  return {
    name: text('name'),
    plan: text('plan'),
    url: text('url'),
    ref: text('ref', 'main') || 'main',
    path: text('path', './') || './',
    calendar: fields['calendar'] === 'yes',
  };
}
