import { Hono } from 'hono';
import { html } from 'hono/html';
import { readFile } from 'node:fs/promises';
import { CSS } from '../services/provisioner/pages/style.ts';

/** One step of the story that the front page tells. */
export interface Step {
  title: string;
  text: string;
  links: { href: string; text: string }[];
  /** A button that posts to the front page itself. */
  action?: { path: string; text: string; run: () => Promise<string> };
  /** What stands in for a real program here, and where things are. */
  notes: string[];
}

/** The front page of the dev world: the story step by step, and the sample calendars. */
export function frontApp(steps: () => Step[], kept: string): Hono {
  const app = new Hono();
  let said = '';

  app.use(async (c, next) => {
    await next();
    c.header('Content-Security-Policy', "default-src 'none'; style-src 'self'; form-action 'self'");
    c.header('Referrer-Policy', 'no-referrer');
  });
  app.get('/', (c) => {
    const notice = said;
    said = '';
    return c.html(page(steps(), notice, kept));
  });
  app.post('/do/:action', async (c) => {
    if (c.req.header('origin') !== new URL(c.req.url).origin) return c.text('Not from here', 403);
    const step = steps().find((s) => s.action?.path === c.req.param('action'));
    if (!step) return c.notFound();
    try {
      said = await step.action!.run();
    } catch (error) {
      said = (error as Error).message;
    }
    return c.redirect('/', 303);
  });
  app.get('/style.css', (c) => c.body(CSS, 200, { 'Content-Type': 'text/css' }));
  app.get('/calendars/:name{[a-z]+\\.ics}', async (c) => {
    try {
      const bytes = await readFile(`dev/calendars/${c.req.param('name')}`);
      return c.body(bytes, 200, { 'Content-Type': 'text/calendar; charset=utf-8' });
    } catch {
      return c.notFound();
    }
  });
  return app;
}

function page(steps: Step[], notice: string, kept: string) {
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>hackspace, on this machine</title>
        <link rel="stylesheet" href="/style.css">
        <link rel="icon" href="data:,">
      </head>
      <body>
        <header class="top">
          <div class="bar"><span class="brand">hackspace</span></div>
        </header>
        <main>
    <div class="title"><h1>One evening at the hackspace</h1></div>
    <p class="lead">Everything below runs on this machine now, on the same code as in production. Go through it in order, or jump in anywhere.</p>
    ${notice
      ? html`
        <div class="note ok" role="status">
          <p>${notice}</p>
        </div>
      `
      : ''}
    ${steps.map((step, i) =>
      html`<section class="card" aria-labelledby="step-${i}">
<h2 id="step-${i}">${i + 1}. ${step.title}</h2>
<p>${step.text}</p>
${step.notes.map((note) => html`<p class="soft">${note}</p>`)}
<div class="row">${
        step.links.map((link) =>
          html`<a class="button second" href="${link.href}">${link.text}</a>`
        )
      }${
        step.action
          ? html`<form method="post" action="/do/${step.action.path}"><button>${step.action.text}</button></form>`
          : ''
      }</div>
</section>`
    )}
        </main>
        <footer>
          <div class="foot">
            <span>Stop it with Ctrl-C. ${kept} <code>npm start -- --fresh</code> forgets all of it.</span>
          </div>
        </footer>
      </body>
    </html>
  `;
}
