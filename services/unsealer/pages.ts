/** The status page for people: which node, since when, what happens next and why not. */
import { html, raw } from 'hono/html';
import type { Problem } from '@hackspace/kit/http.ts';
import type { Status } from './schemas.ts';
import type { NodeStatus } from './loop.ts';

const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#586575;--line:#dde2e9;--ok:#12714a;--warn:#8a5200;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1a2029;--ink:#e6eaf0;--soft:#9aa7b7;--line:#2c3541;--ok:#63d3a0;--warn:#f0b45a;--bad:#ff8a80}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1rem 4rem}h1{font-size:1.75rem;line-height:1.2;margin:0;letter-spacing:-.01em}
.card.hero{color:var(--ink)}.hero{display:flex;gap:1.1rem;align-items:center;border-left:.4rem solid var(--warn);margin-bottom:1rem}.hero.ok{border-color:var(--ok)}.hero.bad{border-color:var(--bad)}.hero .lead{margin:.2rem 0 0}
.hero::before{content:attr(data-sign);flex:none;display:grid;place-items:center;width:3rem;height:3rem;border-radius:50%;border:.15rem solid;font-size:1.4rem;font-weight:700;color:var(--warn)}.hero.ok::before{color:var(--ok)}.hero.bad::before{color:var(--bad)}
.shares{display:flex;flex-wrap:wrap;gap:.2rem .8rem;margin:.8rem 0 0;padding-top:.7rem;border-top:1px solid var(--line);color:var(--soft);font-size:.92rem}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}
.lead{color:var(--soft);margin:0 0 1.5rem}.card+.lead{margin-top:.6rem}.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem 1.2rem}
.note{border-left:.3rem solid var(--bad);margin-bottom:1rem}.note h2{margin:0 0 .3rem;color:var(--bad)}.note ul{margin:0;padding-left:1.2rem}
.wrap{overflow-x:auto}table{width:100%;border-collapse:collapse}th{text-align:left;font-size:.85rem;color:var(--soft);font-weight:600}
th,td{padding:.55rem .8rem .55rem 0;border-bottom:1px solid var(--line);vertical-align:top}tr:last-child td{border-bottom:0}
.state{font-weight:650;white-space:nowrap}.ok{color:var(--ok)}.warn{color:var(--warn)}.bad{color:var(--bad)}
code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere}@media(max-width:40rem){main{padding:1.2rem .6rem}.card{padding:.7rem}table{font-size:.88rem}th,td{padding-right:.5rem}}
footer{margin-top:2.5rem;color:var(--soft);font-size:.9rem}
`;

const TONE: Record<string, [string, string]> = {
  open: ['ok', '✓'],
  sealed: ['warn', '●'],
  uninitialised: ['warn', '○'],
  down: ['bad', '✕'],
  stranger: ['bad', '!'],
  nonsense: ['bad', '!'],
  unknown: ['warn', '…'],
};

const layout = (title: string, body: unknown) =>
  String(html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${title}</title>
        <style>${raw(STYLE)}</style>
      </head>
      <body>
        <main>${body}</main>
      </body>
    </html>
  `);

export function statusPage(status: Status): string {
  const groups = Map.groupBy(status.nodes, (node) => node.cluster);
  const shut = status.nodes.filter((node) => node.state !== 'open').length;
  const title = status.open
    ? 'The vault is open'
    : `${shut} of ${status.nodes.length} nodes are not open`;
  const tone = status.open ? 'ok' : status.held || status.disclosed.length ? 'bad' : 'warn';
  return layout(
    title,
    html`
      <header class="card hero ${tone}" data-sign="${tone === 'ok' ? '✓' : '!'}">
        <div>
          <h1>${title}</h1>
          <p class="lead">Seen by helper <code>${status.helper}</code>. This page renews itself.</p>
        </div>
      </header>
      ${status.disclosed.length
        ? html`
          <section class="card note">
            <h2>A share was disclosed</h2>
            <ul>${status.disclosed.map((text) => html`<li>${text}</li>`)}</ul>
            <p>Rotate the unseal key (<code>bao operator rotate-keys</code>), enroll the new shares, then lift the hold.</p>
          </section>
        `
        : ''}
      ${status.held
        ? html`
          <section class="card note">
            <h2>On hold: no share is sent</h2>
            <ul>${status.reasons.map((reason) => html`<li>${reason}</li>`)}</ul>
          </section>
        `
        : ''}
      ${[...groups].map(([cluster, nodes]) =>
        clusterTable(cluster, nodes, status.shares[cluster] ?? [])
      )}
      ${status.bridges.length
        ? html`
          <h2 id="bridges">Logins from other clusters</h2>
          <div class="card wrap">
            <table aria-labelledby="bridges">
              <thead>
                <tr>
                  <th scope="col">Bridge</th>
                  <th scope="col">State</th>
                </tr>
              </thead>
              <tbody>${status.bridges.map((b) =>
                html`
                  <tr>
                    <td><code>${b.bridge}</code></td>
                    <td class="${b.ok ? 'ok' : 'bad'}">${b.text}</td>
                  </tr>
                `
              )}</tbody>
            </table>
          </div>
        `
        : ''}
      <footer>The same for scripts: <code>GET /status</code>, <code>GET /metrics</code>.</footer>
    `,
  );
}

function clusterTable(cluster: string, nodes: NodeStatus[], shares: string[]) {
  return html`
    <h2 id="c-${cluster}">Cluster ${cluster}</h2>
    <div class="card wrap">
      <table aria-labelledby="c-${cluster}">
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">State</th>
            <th scope="col">Since (UTC)</th>
            <th scope="col">What happens next</th>
          </tr>
        </thead>
        <tbody>${nodes.map((node) => {
          const [tone, sign] = TONE[node.state] ?? ['warn', '?'];
          return html`
            <tr>
              <td><code>${node.node}</code></td>
              <td class="state ${tone}"><span aria-hidden="true">${sign}</span> ${node.state}</td>
              <td><time datetime="${node.since}">${node.since.slice(0, 19).replace(
                'T',
                ' ',
              )}</time></td>
              <td>${node.state === 'open' && node.why === 'open'
                ? 'Watched; nothing to do'
                : node.text}</td>
            </tr>
          `;
        })}</tbody>
      </table>
      <p class="shares"><span>Holds ${String(shares.length)} share${shares.length === 1
        ? ''
        : 's'}</span>${shares.map((print) => html`<code>${print}</code>`)}</p>
    </div>
  `;
}

export function errorPage(problem: Problem): string {
  return layout(
    problem.title,
    html`
      <h1>${problem.title}</h1>
      <p>${problem.detail}</p>
      <p class="lead">Request <code>${problem.requestId}</code></p>
    `,
  );
}
