import { html, raw } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

/** No script at all, style from one file, forms only to ourselves. */
export const PAGE_CSP = "default-src 'none'; style-src 'self'; form-action 'self'; " +
  "frame-ancestors 'none'; base-uri 'none'";

export interface PageOptions {
  title: string;
  body: Html;
  /** Where the stylesheet is: below the public URL's path. */
  base: string;
  wide?: boolean;
  footer?: Html;
}

/** The frame of every page. Whatever is put in is escaped by `html` unless it is `Html` itself. */
export async function page(options: PageOptions): Promise<string> {
  const { title, body, base, wide, footer } = options;
  const text = await html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="robots" content="noindex">
        <meta name="referrer" content="no-referrer">
        <title>${title}</title>
        <link rel="stylesheet" href="${base}/style.css">
      </head>
      <body>
        <a class="skip" href="#main">Skip to content</a>
        <div class="${wide ? 'page wide' : 'page'}">
    <main id="main">
    ${body}
    </main>
    ${footer === undefined ? '' : html`<footer>${footer}</footer>`}
        </div>
      </body>
    </html>
  `;
  return String(text).trim();
}

/** The path part of the public URL: links work below a prefix too. */
export function basePath(publicUrl: string): string {
  return new URL(publicUrl).pathname.replace(/\/+$/, '');
}

/** A page that says one thing. */
export function messagePage(base: string, title: string, text: string): Promise<string> {
  return page({
    title,
    base,
    body: html`
      <h1>${title}</h1>
      <p>${text}</p>
    `,
  });
}

const UNITS: [number, string][] = [[86_400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']];

/** `3 days`, `1 hour`: the largest unit that fits. */
export function inWords(seconds: number): string {
  for (const [size, name] of UNITS) {
    const count = Math.floor(seconds / size);
    if (count >= 1) return `${count} ${name}${count === 1 ? '' : 's'}`;
  }
  return 'a moment';
}

export { html, raw };
