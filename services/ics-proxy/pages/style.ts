/** The one stylesheet. Served as a file of its own, so that no page needs inline style. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#fbfaf7, #16181d);
  --card: light-dark(#ffffff, #1e2128);
  --ink: light-dark(#1d2026, #e8e6e1);
  --soft: light-dark(#5a5f6a, #a5a9b4);
  --line: light-dark(#dfdcd3, #343944);
  --accent: light-dark(#0b6b5f, #5fd3c0);
  --on-accent: light-dark(#ffffff, #0c1a18);
  --good: light-dark(#1a6e34, #7fd695);
  --warn: light-dark(#8a5300, #f0b960);
  --bad: light-dark(#a3261c, #ff9c90);
  --shade: light-dark(#f1eee6, #262a33);
}
* { box-sizing: border-box; }
html { font: 100%/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere; }
.page { max-width: 46rem; margin: 0 auto; padding: 1.25rem 1rem 4rem; }
.wide { max-width: 64rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: .5rem 0 .25rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 0; }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
p { margin: .25rem 0 .75rem; }
.gap { margin-top: 1rem; }
a { color: var(--accent); text-underline-offset: .15em; }
.soft { color: var(--soft); }
.small { font-size: .875rem; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .5rem 1rem; z-index: 2; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .25rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem; margin: 1rem 0; }
.card form { margin: .75rem 0; }
.row form { margin: 0; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
.between { justify-content: space-between; }
.button, button {
  font: inherit; font-weight: 600; display: inline-block; min-height: 2.75rem; padding: .55rem .9rem;
  border-radius: .5rem; border: 1px solid var(--line); background: var(--card); color: var(--ink);
  text-decoration: none; cursor: pointer;
}
.button:hover, button:hover { border-color: var(--accent); }
.primary { background: var(--accent); color: var(--on-accent); border-color: var(--accent); }
.danger { color: var(--bad); }
label { display: block; font-weight: 600; font-size: .875rem; margin-bottom: .25rem; }
input, select {
  font: inherit; width: 100%; min-height: 2.75rem; padding: .5rem .65rem; color: var(--ink);
  background: var(--paper); border: 1px solid var(--soft); border-radius: .5rem;
}
::placeholder { color: var(--soft); opacity: 1; }
input[readonly] { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .8125rem; background: var(--shade); }
.field { flex: 1 1 12rem; min-width: 0; }
.fields { display: flex; flex-wrap: wrap; gap: .75rem; align-items: end; }
.day { margin: 1.75rem 0 0; }
.day > h2 { padding-bottom: .35rem; border-bottom: 2px solid var(--line); }
.day.today > h2 { border-color: var(--accent); }
.events { list-style: none; margin: 0; padding: 0; }
.event { display: grid; grid-template-columns: 7.5rem 1fr; gap: .25rem 1rem; padding: .7rem 0; border-bottom: 1px solid var(--line); }
.when { font-variant-numeric: tabular-nums; color: var(--soft); }
.what { border-left: .25rem solid var(--accent); padding-left: .75rem; min-width: 0; }
.what strong { display: block; font-weight: 650; }
.s1 .what { border-color: light-dark(#b4571b, #f2a66f); } .s2 .what { border-color: light-dark(#5b4bb8, #ab9ff2); }
.s3 .what { border-color: light-dark(#a62b6b, #f08fbf); } .s4 .what { border-color: light-dark(#37750f, #9ad872); }
.s5 .what { border-color: light-dark(#1f6fb2, #7fbdf0); } .s6 .what { border-color: light-dark(#7d6a00, #dfc75a); }
.busy .what { border-left-style: dashed; border-color: var(--soft); }
.cancelled strong { text-decoration: line-through; color: var(--soft); }
.note { border-left: .25rem solid var(--warn); background: var(--shade); padding: .6rem .9rem; border-radius: .25rem; margin: .75rem 0; }
.note > :last-child, .card > :last-child { margin-bottom: 0; }
.note ul { margin: .25rem 0; padding-left: 1.25rem; }
.note.bad { border-color: var(--bad); } .note.good { border-color: var(--good); }
.state { font-weight: 650; white-space: nowrap; }
.state.ok { color: var(--good); } .state.degraded, .state.failing, .state.stale { color: var(--warn); }
.state.waiting, .state.bad { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
caption { text-align: left; font-weight: 650; padding: .75rem 0 .25rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); }
th { font-size: .8125rem; color: var(--soft); font-weight: 600; }
tbody th { color: var(--ink); font-size: inherit; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .875em; }
details > summary { cursor: pointer; padding: .35rem 0; font-weight: 600; }
footer { margin-top: 2.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .875rem; }
@media (max-width: 40rem) {
  .event { grid-template-columns: 1fr; }
  .when { padding-left: 1rem; }
  h1 { font-size: 1.5rem; }
  .stack table, .stack caption, .stack tbody, .stack tr, .stack td, .stack th[scope=row] { display: block; width: 100%; border: 0; padding: .1rem 0; }
  .stack thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .stack tr { border-bottom: 1px solid var(--line); padding: .6rem 0; }
  .stack td[data-label]::before { content: attr(data-label) ": "; color: var(--soft); font-size: .8125rem; }
}
@media (prefers-reduced-motion: no-preference) { .button, button { transition: border-color .15s; } }
@media print { .card, nav, form { display: none; } body { background: none; } }
`;
