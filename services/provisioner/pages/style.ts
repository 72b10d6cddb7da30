/** The portal's one stylesheet. Light and dark, 320 px and up, no third-party asset. */
export const CSS = `
:root {
  color-scheme: light dark;
  --accent: #1d5fa8; --on-accent: #fff;
  --bg: #fdfdfc; --card: #fff; --text: #1c1d20; --soft: #5a5e66; --line: #d9dbe0;
  --ok: #17693a; --ok-bg: #e7f5ec; --wait: #7a4b00; --wait-bg: #fdf3dd;
  --bad: #a5182a; --bad-bg: #fdebec; --mute-bg: #f0f1f3;
  --add: #e5f6ea; --del: #fde9ea;
  --mono: ui-monospace, "Cascadia Mono", "DejaVu Sans Mono", Menlo, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --accent: #86b9f2; --on-accent: #0c1a2b;
    --bg: #16181c; --card: #1e2126; --text: #eceef1; --soft: #a9aeb8; --line: #3a3f48;
    --ok: #7fd8a0; --ok-bg: #15301f; --wait: #f0c674; --wait-bg: #33280f;
    --bad: #ff9aa4; --bad-bg: #3a171c; --mute-bg: #2a2e35;
    --add: #16321f; --del: #3c1a1f;
  }
}
* { box-sizing: border-box; }
html { font-size: 100%; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--bg); color: var(--text); overflow-wrap: break-word;
  font: 1.0625rem/1.55 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif;
}
a { color: var(--accent); text-underline-offset: .15em; }
a:hover { text-decoration-thickness: .14em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .5rem 1rem; z-index: 1; }
header.top { border-bottom: 1px solid var(--line); background: var(--card); border-top: 4px solid var(--brand, var(--accent)); }
.bar, main, footer { max-width: 54rem; margin: 0 auto; padding: 0 1.25rem; }
.bar { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; align-items: center; min-height: 3.75rem; padding-block: .4rem; }
.brand { display: inline-flex; gap: .6rem; align-items: center; font-weight: 700; color: inherit; text-decoration: none; margin-right: auto; }
.brand img { height: 2rem; width: auto; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; list-style: none; margin: 0; padding: 0; align-items: center; }
nav form { margin: 0; }
main { padding-block: 2rem 4rem; }
footer { border-top: 1px solid var(--line); padding-block: 1rem 2rem; color: var(--soft); font-size: .9rem; }
h1 { font-size: clamp(1.6rem, 1.2rem + 2vw, 2.2rem); line-height: 1.2; margin: 0 0 1rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.25rem 0 .75rem; }
p, ul, ol, dl { max-width: 42rem; }
.lead { font-size: 1.175rem; }
.soft, .hint { color: var(--soft); }
.hint { font-size: .95rem; margin: .1rem 0 .35rem; display: block; overflow-wrap: anywhere; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1.1rem 1.25rem; margin: 1rem 0; }
.card > :first-child { margin-top: 0; } .card > :last-child { margin-bottom: 0; }
.note { border-left: 5px solid var(--line); background: var(--mute-bg); padding: .8rem 1rem; margin: 1rem 0; border-radius: 0 6px 6px 0; max-width: 46rem; }
.note p { margin: .2rem 0; }
.note.ok { border-color: var(--ok); background: var(--ok-bg); }
.note.wait { border-color: var(--wait); background: var(--wait-bg); }
.note.bad { border-color: var(--bad); background: var(--bad-bg); }
.row { display: flex; flex-wrap: wrap; gap: .75rem 1rem; align-items: center; }
.button, button {
  font: inherit; font-weight: 600; display: inline-block; cursor: pointer; text-decoration: none;
  padding: .6rem 1.1rem; border-radius: 6px; border: 1px solid var(--accent);
  background: var(--accent); color: var(--on-accent); min-height: 2.75rem;
}
.button:hover, button:hover { filter: brightness(1.08); }
.button.second, button.second { background: transparent; color: var(--accent); }
button.danger { background: var(--bad); border-color: var(--bad); color: var(--bg); }
button.plain { background: none; border: 0; padding: 0; min-height: 0; font-weight: 400; color: var(--accent); text-decoration: underline; text-underline-offset: .15em; }
.field { margin: 0 0 1.4rem; max-width: 38rem; border: 0; padding: 0; }
.field > label, legend { font-weight: 600; display: block; padding: 0; }
input[type=text], input[type=url], input[type=search], select {
  font: inherit; width: 100%; padding: .55rem .7rem; min-height: 2.75rem; color: inherit;
  background: var(--card); border: 1px solid var(--soft); border-radius: 6px;
}
.field.bad { border-left: 5px solid var(--bad); padding-left: 1rem; }
.fault { color: var(--bad); font-weight: 600; display: block; margin: .2rem 0 .3rem; }
.choice { display: flex; gap: .6rem; align-items: baseline; padding: .35rem 0; }
.choice input { width: 1.15rem; height: 1.15rem; flex: none; accent-color: var(--accent); transform: translateY(.15rem); }
dl.pairs { display: grid; grid-template-columns: minmax(7rem, 12rem) 1fr; gap: .5rem 1rem; margin: 0; max-width: none; }
dl.pairs dt { font-weight: 600; } dl.pairs dd { margin: 0; overflow-wrap: anywhere; }
code, pre, .mono { font-family: var(--mono); font-size: .92em; overflow-wrap: anywhere; }
pre { overflow-wrap: normal; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; background: var(--card); }
summary { cursor: pointer; padding: .6rem .9rem; font-weight: 600; overflow-wrap: anywhere; }
pre.diff { margin: 0; padding: .5rem 0; overflow-x: auto; border-top: 1px solid var(--line); font-size: .85rem; line-height: 1.45; }
pre.diff span { display: block; padding: 0 .9rem; min-width: max-content; }
pre.diff .add { background: var(--add); } pre.diff .del { background: var(--del); } pre.diff .at { color: var(--soft); }
ol.steps { list-style: none; margin: 1.5rem 0; padding: 0; max-width: none; }
ol.steps li { position: relative; padding: 0 0 1.4rem 3rem; }
ol.steps li::before {
  content: attr(data-mark); position: absolute; left: 0; top: 0; width: 2rem; height: 2rem; border-radius: 50%;
  display: grid; place-items: center; font-weight: 700; border: 2px solid var(--soft); background: var(--card); color: var(--soft);
}
ol.steps li:not(:last-child)::after { content: ""; position: absolute; left: calc(1rem - 1px); top: 2.2rem; bottom: .2rem; border-left: 2px solid var(--line); }
ol.steps li.done::before { border-color: var(--ok); background: var(--ok-bg); color: var(--ok); }
ol.steps li.failed::before { border-color: var(--bad); background: var(--bad-bg); color: var(--bad); }
ol.steps li.pending::before { border-color: var(--wait); background: var(--wait-bg); color: var(--wait); }
ol.steps h2 { margin: 0; font-size: 1.1rem; display: flex; flex-wrap: wrap; gap: .2rem .7rem; align-items: baseline; min-height: 2rem; }
ol.steps p { margin: .15rem 0; overflow-wrap: anywhere; }
.tag { font-size: .85rem; font-weight: 600; padding: .1rem .55rem; border-radius: 99px; background: var(--mute-bg); color: var(--soft); white-space: nowrap; }
.tag.done, .tag.active { background: var(--ok-bg); color: var(--ok); }
.tag.pending, .tag.grace, .tag.paused { background: var(--wait-bg); color: var(--wait); }
.tag.failed, .tag.suspended, .tag.exported, .tag.draining { background: var(--bad-bg); color: var(--bad); }
.quota { margin: 0 0 .9rem; max-width: 34rem; }
.quota div { display: flex; justify-content: space-between; gap: 1rem; }
progress { width: 100%; height: .8rem; accent-color: var(--accent); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-size: .9rem; color: var(--soft); }
.qr { background: #fff; padding: .5rem; border-radius: 6px; width: 12rem; max-width: 100%; }
.qr svg { display: block; width: 100%; height: auto; }
.changes { list-style: none; padding: 0; max-width: none; }
.changes li { padding: .5rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
@media (max-width: 30rem) {
  dl.pairs { grid-template-columns: 1fr; gap: 0; } dl.pairs dd { margin-bottom: .6rem; }
  .button, form > button:not(.plain), .row > form { width: 100%; text-align: center; }
}
@media (prefers-reduced-motion: no-preference) { .button, button { transition: filter .12s; } }
@media print { header.top nav, .button, button, footer { display: none; } }
`;

/**
 * The only script, and a page works without it: while something is on its way it fetches the status
 * list anew and puts it into the region that screen readers follow, in place of reloading.
 */
export const JS = `
const region = document.querySelector('[data-live]');
if (region) {
  let wait = 1500;
  const again = async () => {
    try {
      const answer = await fetch(location.href, { headers: { 'x-fragment': '1', accept: 'text/html' }, redirect: 'error' });
      if (answer.ok) {
        const text = await answer.text();
        const next = new DOMParser().parseFromString(text, 'text/html').querySelector('[data-live]');
        if (next && next.innerHTML !== region.innerHTML) { region.innerHTML = next.innerHTML; wait = 1500; }
        if (!next || next.dataset.live !== 'pending') return;
      }
    } catch { /* away for a moment: asked again below */ }
    wait = Math.min(wait * 1.3, 15000);
    setTimeout(again, wait);
  };
  if (region.dataset.live === 'pending') setTimeout(again, wait);
}
`;
