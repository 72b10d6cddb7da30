import type { FeedHealth, SourceHealth } from '../health.ts';
import type { ListedToken } from '../tokens.ts';
import { type Html, html, inWords, page } from './layout.ts';

export interface AdminPage {
  base: string;
  health: FeedHealth[];
  tokens: ListedToken[];
  /** Epoch milliseconds. */
  now: number;
}

const FEED_WORDS = {
  ok: 'all well',
  degraded: 'served, but not all is well',
  waiting: 'not served yet',
};
const SOURCE_WORDS = {
  ok: 'up to date',
  failing: 'not answering',
  stale: 'stale',
  waiting: 'never fetched',
};

/** Feeds, sources and tokens. Errors and calendar text are strangers' words: escaped by `html`. */
export function adminPage({ base, health, tokens, now }: AdminPage): Promise<string> {
  const byFeed = Map.groupBy(tokens, (token) => token.feed);
  const bad = health.filter((feed) => feed.state !== 'ok');
  const body = html`
    <div class="row between">
      <h1>Feeds</h1>
      <form method="post" action="${base}/admin/logout"><button>Sign out</button></form>
    </div>
    <p class="${bad.length ? 'note' : 'note good'}">${bad.length === 0
      ? `All ${health.length} feeds are well.`
      : `${health.length - bad.length} of ${health.length} feeds are well.`}</p>
    ${health.map((feed) => feedCard(feed, byFeed.get(feed.id) ?? [], base, now))}
  `;
  return page({ title: 'Feeds · admin', base, body, wide: true });
}

function feedCard(feed: FeedHealth, tokens: ListedToken[], base: string, now: number): Html {
  return html`<section class="card" aria-labelledby="feed-${feed.id}">
<div class="row between">
<h2 id="feed-${feed.id}">${feed.name} <code class="soft">${feed.id}</code></h2>
<span class="state ${feed.state}">${FEED_WORDS[feed.state]}</span>
</div>
${feed.error ? html`<p class="note bad">${feed.error}</p>` : ''}
${
    feed.views.map((view) =>
      html`
        <p
          class="small soft">${view.view} view: ${view.components} ${view.components === 1
            ? 'component'
            : 'components'}, ${size(
              view.bytes,
            )}, changed <time datetime="${view.lastModified}">${ago(
              view.lastModified,
              now,
            )}</time>${warnings(view.report)}</p>
      `
    )
  }
<div class="scroll stack"><table>
<caption>Sources</caption>
<thead><tr><th scope="col">Source</th><th scope="col">State</th><th scope="col">Confirmed</th>
<th scope="col">Next try</th><th scope="col">Components</th><th scope="col">Size</th></tr></thead>
<tbody>${feed.sources.map((source) => sourceRow(source, now))}</tbody>
</table></div>
${feed.sources.map(troubles)}
<form method="post" action="${base}/admin/do/feeds/${feed.id}/refresh">
<button>Fetch all sources now</button></form>
${tokenTable(tokens, base, now)}
${tokenForm(feed, base)}
</section>`;
}

function sourceRow(source: SourceHealth, now: number): Html {
  return html`
    <tr>
      <th scope="row"><code>${source.id}</code></th>
      <td data-label="State"><span class="state ${source
        .state}">${SOURCE_WORDS[source.state]}</span>${source.needsHuman
        ? html`
          <span class="state bad">(needs you)</span>
        `
        : ''}</td>
      <td data-label="Confirmed" class="number">${source.lastSuccess
        ? ago(source.lastSuccess, now)
        : 'never'}</td>
      <td data-label="Next try" class="number">${source.nextAttempt
        ? ahead(source.nextAttempt, now)
        : 'soon'}</td>
      <td data-label="Components" class="number">${source.components}</td>
      <td data-label="Size" class="number">${size(source.bytes)}</td>
    </tr>
  `;
}

function troubles(source: SourceHealth): Html | string {
  const { id, error, failures, warnings: notes, quarantined } = source;
  if (!error && notes.length === 0 && quarantined.length === 0) return '';
  return html`<div class="note ${error ? 'bad' : ''}">
${
    error
      ? html`<p><strong>${id}</strong>: ${error} ${
        failures > 1 ? html`<span class="soft">(${failures} times in a row)</span>` : ''
      }</p>`
      : ''
  }
${notes.map((note) => html`<p><strong>${id}</strong>: ${note}</p>`)}
${
    quarantined.length > 0
      ? html`
        <details>
          <summary>${id}: ${source.quarantinedCount} put aside</summary>
          <ul>${quarantined.map((q) =>
            html`<li>Line ${q.line}: ${q.reason}${
              q.excerpt ? html`<br><code class="small">${q.excerpt}</code>` : ''
            }</li>`
          )}</ul>
        </details>
      `
      : ''
  }
</div>`;
}

function tokenTable(tokens: ListedToken[], base: string, now: number): Html {
  if (tokens.length === 0) {
    return html`
      <h3>Tokens</h3>
      <p class="soft">Nobody is subscribed yet.</p>
    `;
  }
  return html`
    <div class="scroll stack">
      <table>
        <caption>Tokens</caption>
        <thead>
          <tr>
            <th scope="col">Label</th>
            <th scope="col">View</th>
            <th scope="col">Made</th>
            <th scope="col">Last used</th>
            <th scope="col">Ends</th>
            <th scope="col">Actions</th>
          </tr>
        </thead>
        <tbody>${tokens.map((token) =>
          html`
            <tr>
              <th scope="row">${token.label}<br><code class="small soft">${token.id}</code></th>
              <td data-label="View">${token.view}</td>
              <td data-label="Made" class="number">${ago(token.created, now)}</td>
              <td data-label="Last used" class="number">${token.lastUsed === undefined
                ? 'never'
                : ago(token.lastUsed, now)}</td>
              <td data-label="Ends" class="number">${token.expires === undefined
                ? 'never'
                : token.expired
                ? html`<span class="state bad">ended</span>`
                : ahead(token.expires, now)}${token.replacedBy
                ? html`<br><span class="small soft">replaced</span>`
                : ''}</td>
              <td>
                <div class="row">${token.expired
                  ? ''
                  : html`<form method="post" action="${base}/admin/do/tokens/${token.id}/rotate">
<button aria-label="Rotate ${token.label}">Rotate</button></form>`}
            <form method="post" action="${base}/admin/do/tokens/${token.id}/revoke">
            <button class="danger" aria-label="Revoke ${token.label}">Revoke</button></form></div>
              </td>
            </tr>
          `
        )}</tbody>
      </table>
    </div>
  `;
}

function tokenForm(feed: FeedHealth, base: string): Html {
  const id = feed.id;
  return html`
    <h3>New token</h3>
    <form method="post" action="${base}/admin/do/feeds/${id}/tokens" class="fields">
      <div class="field"><label for="label-${id}">Label</label>
    <input id="label-${id}" name="label" required maxlength="100" autocomplete="off" placeholder="whose, or where"></div>
      <div class="field"><label for="view-${id}">View</label>
    <select id="view-${id}" name="view"><option value="full">full</option><option value="busy">busy: when, not what</option></select></div>
      <div class="field"><label for="expires-${id}">Ends</label>
    <select id="expires-${id}" name="expires"><option value="">never</option><option value="30d">in 30 days</option>
    <option value="90d">in 90 days</option><option value="365d">in a year</option></select></div>
      <button class="primary">Make token</button>
    </form>
  `;
}

export function loginPage(base: string, failed: boolean): Promise<string> {
  const body = html`
    <h1>Sign in</h1>
    ${failed ? html`<p class="note bad" role="alert">That is not the admin token.</p>` : ''}
    <form method="post" action="${base}/admin/login" class="card">
      <label for="token">Admin token</label>
      <input id="token" name="token" type="password" required autocomplete="current-password" autofocus>
      <p class="small soft">It is in the file named by <code>admin.tokenFile</code>.</p>
      <button class="primary">Sign in</button>
    </form>
  `;
  return page({ title: 'Sign in', base, body });
}

export function urlPage(
  { base, feed, label, url }: { base: string; feed: string; label: string; url: string },
): Promise<string> {
  const body = html`<h1>Token made</h1>
<p>For <strong>${label}</strong>, feed <code>${feed}</code>. Copy the address now: it is not shown again.</p>
<div class="card"><label for="url">Feed address</label>
<input id="url" readonly value="${url}" spellcheck="false" autocomplete="off">
<div class="row"><a class="button primary" href="${
    url.replace(/^https?:/, 'webcal:')
  }">Open in calendar app</a>
<a class="button" href="${url.replace('.ics?', '?')}">Agenda</a></div></div>
<p><a href="${base}/admin">Back to all feeds</a></p>`;
  return page({ title: 'Token made', base, body });
}

/** Warnings of the report, if it has any, as a count: the lines are in `/api/feeds`. */
function warnings(report: unknown): string {
  const list = (report as { warnings?: unknown[] }).warnings;
  return list?.length ? `, ${list.length} warnings` : '';
}

function ago(time: string | number, now: number): string {
  return `${inWords(Math.max(0, now - new Date(time).getTime()) / 1000)} ago`;
}

function ahead(time: string | number, now: number): string {
  const seconds = (new Date(time).getTime() - now) / 1000;
  return seconds < 1 ? 'now' : `in ${inWords(seconds)}`;
}

function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}
