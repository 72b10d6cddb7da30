import { html, raw } from 'hono/html';
import type { Shell } from './model.ts';
import type { Texts } from './texts.ts';

export type Html = ReturnType<typeof html>;

export interface PageOptions {
  title: string;
  /**
   * Seconds until the page loads itself again, only while something is pending and only where there is
   * no script to do it without taking the reader's place away.
   */
  refresh?: number;
  current?: 'home' | 'new' | 'admin';
  /** The page one level up. */
  back?: { href: string; text: string };
  /** Beside the title: the state of what the page is about. */
  tag?: Html;
}

/** The frame of every page. `content` is escaped where it was made, by hono/html. */
export function layout(shell: Shell, options: PageOptions, content: Html): Html {
  const { t, space, member } = shell;
  const { title, back, tag, current } = options;
  const link = (href: string, key: PageOptions['current'], text: string) =>
    html`<li><a href="${href}" ${
      current === key ? raw('aria-current="page"') : ''
    }>${text}</a></li>`;
  return html`
    <!doctype html>
    <html lang="${t('page.language')}">
      <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex">
    ${options.refresh
      ? html`<noscript><meta http-equiv="refresh" content="${options.refresh}"></noscript>`
      : ''}
    <title>${title} · ${space.name}</title>
    <link rel="stylesheet" href="/assets/${shell.assets.css}.css">
    <link rel="icon" href="data:,">
    <script type="module" src="/assets/${shell.assets.js}.js"></script>
      </head>
      <body>
        <a class="skip" href="#content">${t('nav.skip')}</a>
        <header class="top">
          <div class="bar">
            <a class="brand" href="/">${space.logo
              ? html`<img src="${space.logo}" alt="">`
              : html`<span class="mark" aria-hidden="true"></span>`}${space.name}</a>
            <nav aria-label="${t('nav.label')}">
              <ul>
    ${member
      ? html`
        ${link('/spaces', 'home', t('nav.home'))}${link('/spaces/new', 'new', t('nav.new'))}
        ${member.admin ? link('/admin', 'admin', t('nav.admin')) : ''}
        <li>
          <form method="post" action="/logout"><button class="plain">${t(
            'nav.logout',
          )}</button></form>
        </li>
      `
      : html`<li><a href="/login?to=/spaces">${t('nav.login')}</a></li>`}
              </ul>
            </nav>
          </div>
        </header>
        <main id="content" tabindex="-1">
    ${back ? html`<p class="back"><a href="${back.href}">${back.text}</a></p>` : ''}
    <div class="title"><h1>${title}</h1>${tag ?? ''}</div>
    ${content}
        </main>
        <footer>
          <div class="foot"><span>${space.name}</span>${member
            ? html`<span>${t('nav.who', { name: member.name })}</span>`
            : ''}</div>
        </footer>
      </body>
    </html>
  `;
}

/** A moment for people, with the exact one for machines. RFC 3339 in. */
export function time(t: Texts, at: string): Html {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return html`${at}`;
  const text = date.toLocaleString(locale(t), {
    ...{ day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' },
    timeZone: 'UTC',
    timeZoneName: 'short',
  });
  return html`<time datetime="${date.toISOString()}">${text}</time>`;
}

/** A day in words, `23 November 2026`. RFC 3339 in. */
export function day(t: Texts, at: string): string {
  const format = { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' } as const;
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? at : date.toLocaleDateString(locale(t), format);
}

/** Plain English dates are written day first here. */
const locale = (t: Texts) => t('page.language') === 'en' ? 'en-GB' : t('page.language');
