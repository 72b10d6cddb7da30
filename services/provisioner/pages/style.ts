/** The portal's one stylesheet. Light and dark, 320 px and up, no third-party asset. */
export const CSS = `
:root {
  color-scheme: light dark;
  --accent: #1a5fa8; --on-accent: #fff; --accent-bg: #e9f1fa;
  --bg: #f5f6f8; --card: #fff; --text: #1a1d23; --soft: #565d68; --line: #d7dbe1; --edge: #7c8592;
  --ok: #17693a; --ok-bg: #e4f4ea; --wait: #7a4b00; --wait-bg: #fdf1d8;
  --bad: #a5182a; --bad-bg: #fdeaec; --mute-bg: #eceef1;
  --add: #e5f6ea; --del: #fde9ea;
  --mono: ui-monospace, "Cascadia Mono", Menlo, "Noto Sans Mono", "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --accent: #86b9f2; --on-accent: #0c1a2b; --accent-bg: #1b2a3c;
    --bg: #14161a; --card: #1c1f24; --text: #eceef1; --soft: #a9b0ba; --line: #353a43; --edge: #7d8693;
    --ok: #7fd8a0; --ok-bg: #15301f; --wait: #f0c674; --wait-bg: #33280f;
    --bad: #ff9aa4; --bad-bg: #3a171c; --mute-bg: #2a2e35;
    --add: #16321f; --del: #3c1a1f;
  }
}
* { box-sizing: border-box; }
html { font-size: 100%; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; min-height: 100vh; display: flex; flex-direction: column;
  background: var(--bg); color: var(--text); overflow-wrap: break-word;
  font: 1.0625rem/1.55 system-ui, -apple-system, "Segoe UI", "Noto Sans", "Liberation Sans", sans-serif;
}
a { color: var(--accent); text-underline-offset: .17em; text-decoration-thickness: .07em; }
a:hover { text-decoration-thickness: .14em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
main:focus { outline: none; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .5rem 1rem; z-index: 1; }

header.top { border-bottom: 1px solid var(--line); background: var(--card); border-top: 4px solid var(--brand, var(--accent)); }
.bar, main, .foot { width: 100%; max-width: 62rem; margin: 0 auto; padding-inline: 1.25rem; }
.bar { display: flex; flex-wrap: wrap; gap: 0 2rem; align-items: center; justify-content: space-between; }
.brand { display: inline-flex; gap: .6rem; align-items: center; font-weight: 700; font-size: 1.15rem; color: inherit; text-decoration: none; min-height: 3.75rem; }
.brand img { height: 2rem; width: auto; }
.mark { width: 1.2rem; height: 1.35rem; background: var(--brand, var(--accent)); clip-path: polygon(50% 0, 100% 25%, 100% 75%, 50% 100%, 0 75%, 0 25%); }
nav ul { display: flex; flex-wrap: wrap; gap: 0 1.5rem; list-style: none; margin: 0; padding: 0; align-items: center; }
nav form { margin: 0; }
nav a, nav button.plain { display: inline-block; padding: .9rem 0 .75rem; border-bottom: 3px solid transparent; text-decoration: none; font-weight: 500; }
nav a:hover, nav button.plain:hover { text-decoration: underline; }
nav a[aria-current] { border-color: var(--accent); color: var(--text); }
main { flex: 1; padding-block: 2rem 4rem; }
footer { border-top: 1px solid var(--line); color: var(--soft); font-size: .9rem; }
.foot { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; justify-content: space-between; padding-block: 1.1rem 1.6rem; }

h1 { font-size: clamp(1.7rem, 1.25rem + 2vw, 2.3rem); line-height: 1.18; margin: 0; letter-spacing: -.015em; overflow-wrap: anywhere; text-wrap: balance; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.25rem 0 .75rem; }
.title { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin-bottom: 1.25rem; }
.card > .title { margin-bottom: .5rem; } .title h2 { margin: 0; }
.back { margin: -.6rem 0 .9rem; font-size: .95rem; }
.back a::before { content: "‹"; display: inline-block; margin-right: .4rem; }
p, ul, ol, dl { max-width: 42rem; }
p { margin: 0 0 .9rem; }
.lead { font-size: 1.2rem; line-height: 1.5; text-wrap: pretty; }
.soft, .hint { color: var(--soft); }
.small { font-size: .93rem; }
.hint { font-size: .95rem; margin: .1rem 0 .4rem; display: block; overflow-wrap: anywhere; }
code, pre, .mono { font-family: var(--mono); font-size: .88em; overflow-wrap: anywhere; }
pre { overflow-wrap: normal; }

.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.2rem 1.4rem; margin: 0 0 1.25rem; }
.card > :first-child { margin-top: 0; } .card > :last-child { margin-bottom: 0; }
.card > h2:first-child { font-size: 1.08rem; }
.card.empty { border-style: dashed; border-color: var(--edge); text-align: center; padding-block: 2.5rem; }
.card.empty p { margin-inline: auto; }
.card.danger { border-color: var(--bad); }
.note { border: 1px solid transparent; border-left: 5px solid var(--edge); background: var(--mute-bg); padding: .85rem 1.1rem; margin: 0 0 1.25rem; border-radius: 8px; }
.note p { margin: .2rem 0; } .note ul { margin: .35rem 0 .1rem; padding-left: 1.2rem; }
.note.ok { border-left-color: var(--ok); background: var(--ok-bg); }
.note.wait { border-left-color: var(--wait); background: var(--wait-bg); }
.note.bad { border-left-color: var(--bad); background: var(--bad-bg); }
.row { display: flex; flex-wrap: wrap; gap: .75rem 1rem; align-items: center; }
.row form { margin: 0; }
.grid { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0 1.5rem; align-items: start; }
@media (min-width: 54rem) { .grid.two { grid-template-columns: minmax(0, 1.55fr) minmax(0, 1fr); } .grid.three { grid-template-columns: repeat(3, minmax(0, 1fr)); } }

.button, button {
  font: inherit; font-weight: 600; display: inline-block; cursor: pointer; text-decoration: none; text-align: center;
  padding: .58rem 1.15rem; border-radius: 7px; border: 1px solid var(--accent);
  background: var(--accent); color: var(--on-accent); min-height: 2.75rem;
}
.button:hover, button:hover { filter: brightness(1.08); }
.button.second, button.second { background: var(--card); color: var(--accent); border-color: var(--edge); }
.button.second:hover, button.second:hover { border-color: var(--accent); background: var(--accent-bg); }
button.danger { background: var(--bad); border-color: var(--bad); color: var(--card); }
.button.second.danger { color: var(--bad); border-color: var(--bad); }
button.plain { background: none; border-width: 0 0 3px; border-radius: 0; min-height: 0; color: var(--accent); }

.field { margin: 0 0 1.5rem; max-width: 38rem; border: 0; padding: 0; min-width: 0; }
.field > label, legend { font-weight: 600; display: block; padding: 0; }
input[type=text], input[type=url], input[type=search], select {
  font: inherit; width: 100%; padding: .55rem .7rem; min-height: 2.75rem; color: inherit;
  background: var(--card); border: 1px solid var(--edge); border-radius: 7px;
}
input.short { max-width: 20rem; }
.field.bad { border-left: 5px solid var(--bad); padding-left: 1rem; }
.fault { color: var(--bad); font-weight: 600; display: block; margin: .2rem 0 .4rem; }
.choice { display: flex; gap: .7rem; align-items: baseline; padding: .35rem 0; }
.choice input { width: 1.15rem; height: 1.15rem; flex: none; accent-color: var(--accent); transform: translateY(.15rem); }
.choice.plan { position: relative; background: var(--card); border: 1px solid var(--edge); border-radius: 8px; padding: .75rem 1rem; margin-top: .55rem; }
.choice.plan label { font-weight: 600; } .choice.plan label::after { content: ""; position: absolute; inset: 0; cursor: pointer; }
.choice.plan label .soft { display: block; font-weight: 400; font-size: .95rem; }
.choice.plan:has(:checked) { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent); background: var(--accent-bg); }
.find { display: flex; flex-wrap: wrap; gap: .75rem 1rem; align-items: end; margin-bottom: 1.25rem; }
.find .field { margin: 0; flex: 1 1 11rem; max-width: 20rem; }

dl.pairs { display: grid; grid-template-columns: minmax(7rem, 11rem) 1fr; gap: .55rem 1rem; margin: 0; max-width: none; }
dl.pairs dt { color: var(--soft); } dl.pairs dd { margin: 0; overflow-wrap: anywhere; }
.grid.two > :last-child dl.pairs { grid-template-columns: 1fr; gap: 0; } .grid.two > :last-child dd + dt { margin-top: .5rem; }
details { border: 1px solid var(--line); border-radius: 8px; margin: 0 0 .6rem; background: var(--card); }
summary { cursor: pointer; padding: .7rem 1rem; font-weight: 600; overflow-wrap: anywhere; }
summary .soft { font-weight: 400; }
details.outer { margin-bottom: 1.5rem; } details.outer > summary { padding: .9rem 1.2rem; } details.outer > div { padding: 0 1.2rem .6rem; }
details p { margin: 0; padding: 0 1rem .7rem; }
pre.diff { margin: 0; padding: .5rem 0; overflow-x: auto; border-top: 1px solid var(--line); font-size: .84rem; line-height: 1.5; }
pre.diff span { display: block; padding: 0 1rem; min-width: max-content; }
pre.diff .add { background: var(--add); } pre.diff .del { background: var(--del); } pre.diff .at { color: var(--soft); }
pre.code { background: var(--mute-bg); border-radius: 6px; padding: .6rem .8rem; overflow-x: auto; margin: 0 0 .9rem; }

ol.ways { list-style: none; padding: 0; margin: 0 0 1.25rem; max-width: none; counter-reset: way; }
ol.ways li { counter-increment: way; }
ol.ways li::before { content: counter(way); display: grid; place-items: center; width: 2rem; height: 2rem; border-radius: 50%; background: var(--accent-bg); color: var(--accent); font-weight: 700; margin-bottom: .6rem; }

ol.steps { list-style: none; margin: 0; padding: 0; max-width: none; }
ol.steps > li { position: relative; padding: 0 0 1.5rem 3.2rem; }
ol.steps > li:last-child { padding-bottom: 0; }
ol.steps > li::before, ol.mini li::before {
  content: attr(data-mark); width: 2.1rem; height: 2.1rem; border-radius: 50%; flex: none;
  display: grid; place-items: center; font-weight: 700; border: 2px solid var(--edge); background: var(--card); color: var(--soft);
}
ol.steps > li::before { position: absolute; left: 0; top: 0; }
ol.steps > li:not(:last-child)::after { content: ""; position: absolute; left: calc(1.05rem - 1px); top: 2.35rem; bottom: .25rem; border-left: 2px solid var(--line); }
ol.steps > li.done::before, ol.mini li.done::before { border-color: var(--ok); background: var(--ok-bg); color: var(--ok); }
ol.steps > li.failed::before, ol.mini li.failed::before { border-color: var(--bad); background: var(--bad-bg); color: var(--bad); }
ol.steps > li.pending::before, ol.mini li.pending::before { border-color: var(--wait); background: var(--wait-bg); color: var(--wait); }
ol.steps > li.done:not(:last-child)::after { border-color: var(--ok); }
ol.steps h2 { margin: 0; font-size: 1.08rem; display: flex; flex-wrap: wrap; gap: .2rem .7rem; align-items: center; min-height: 2.1rem; }
ol.steps p { margin: .1rem 0; overflow-wrap: anywhere; }
ol.steps .note { margin: .6rem 0 0; }
ol.mini { list-style: none; display: flex; flex-wrap: wrap; gap: .6rem 1.4rem; margin: 0 0 .9rem; padding: 0; max-width: none; }
ol.mini li { display: flex; gap: .5rem; align-items: center; font-size: .95rem; }
ol.mini li::before { width: 1.6rem; height: 1.6rem; font-size: .85rem; }

.tag { font-size: .84rem; font-weight: 600; line-height: 1.4; padding: .12rem .6rem; border-radius: 99px; background: var(--mute-bg); color: var(--soft); white-space: nowrap; }
.tag.done, .tag.active { background: var(--ok-bg); color: var(--ok); }
.tag.pending, .tag.grace, .tag.paused { background: var(--wait-bg); color: var(--wait); }
.tag.failed, .tag.suspended, .tag.exported, .tag.draining { background: var(--bad-bg); color: var(--bad); }
.quota { margin: 0 0 1rem; max-width: none; }
.quota div { display: flex; flex-wrap: wrap; overflow-wrap: anywhere; justify-content: space-between; gap: 0 1rem; font-size: .97rem; }
progress { appearance: none; display: block; width: 100%; height: .6rem; margin-top: .25rem; border: 1px solid var(--edge); border-radius: 99px; overflow: hidden; background: var(--mute-bg); }
progress::-webkit-progress-bar { background: var(--mute-bg); }
progress::-webkit-progress-value { background: var(--accent); } progress::-moz-progress-bar { background: var(--accent); }
progress.full::-webkit-progress-value { background: var(--bad); } progress.full::-moz-progress-bar { background: var(--bad); }
table { border-collapse: collapse; width: 100%; font-size: .98rem; }
th, td { text-align: left; padding: .65rem 1rem .65rem 0; border-bottom: 1px solid var(--line); vertical-align: baseline; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { font-size: .88rem; color: var(--soft); font-weight: 600; }
.qr { background: #fff; padding: .5rem; border-radius: 8px; width: 12rem; max-width: 100%; margin-bottom: .9rem; }
.qr svg { display: block; width: 100%; height: auto; }
.changes { list-style: none; padding: 0; margin: 0 0 .9rem; max-width: none; }
.changes li { padding: .65rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; display: flex; flex-wrap: wrap; gap: 0 1rem; justify-content: space-between; }
.changes li:first-child { padding-top: 0; } .changes li:last-child { border-bottom: 0; }
.changes .small { flex-basis: 100%; }
@media (max-width: 40rem) {
  .card { padding: 1rem 1.05rem; }
  .stack thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .stack table, .stack tbody, .stack tr, .stack td, .stack th { display: block; padding: .08rem 0; border: 0; }
  .stack tr { padding: .8rem 0; border-bottom: 1px solid var(--line); }
  .stack tr:first-child { padding-top: 0; } .stack tr:last-child { border-bottom: 0; padding-bottom: 0; }
  .stack td[data-label]::before { content: attr(data-label) ": "; color: var(--soft); font-family: system-ui, sans-serif; font-size: .93rem; }
}
@media (max-width: 30rem) {
  main { padding-block: 1.4rem 3rem; }
  .bar { padding-bottom: .25rem; } .brand { min-height: 3rem; } nav a, nav button.plain { padding-block: .5rem .4rem; }
  dl.pairs { grid-template-columns: 1fr; gap: 0; } dl.pairs dd { margin-bottom: .6rem; }
  .button, form > button:not(.plain), .row > form, .row > button { width: 100%; }
  ol.mini { flex-direction: column; }
}
@media (prefers-reduced-motion: no-preference) { .button, button { transition: filter .12s, background .12s; } }
@media print { header.top nav, .button, button, footer { display: none; } body { background: none; } }
`;

/**
 * The only script, and a page works without it: while something is on its way it fetches the page anew
 * and puts what changed into the places that are there. The status line itself stays, since screen
 * readers announce a change in it, not one that replaces it.
 */
export const JS = `
const region = document.querySelector('[data-live]');
if (region) {
  let wait = 1500;
  const again = async () => {
    try {
      const answer = await fetch(location.href, { headers: { accept: 'text/html' }, redirect: 'error' });
      // The session is over: the browser itself goes to log in, and comes back here.
      if (answer.status === 401) return location.reload();
      if (answer.ok) {
        const next = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('[data-live]');
        if (!next) return;
        for (const part of region.querySelectorAll('[data-part]')) {
          const other = next.querySelector('[data-part=' + part.dataset.part + ']');
          if (!other || other.innerHTML === part.innerHTML) continue;
          part.innerHTML = other.innerHTML;
          wait = 1500;
        }
        region.dataset.live = next.dataset.live;
        if (next.dataset.live !== 'pending') return;
      }
    } catch { /* away for a moment: asked again below */ }
    wait = Math.min(wait * 1.3, 15000);
    setTimeout(again, wait);
  };
  if (region.dataset.live === 'pending') setTimeout(again, wait);
}
`;
