import type { Occurrence } from '../calendar/agenda.ts';
import type { FeedHealth } from '../health.ts';
import type { View } from '../tokens.ts';
import { addDays, dayOf, dayTitle, timeOf } from './days.ts';
import { type Html, html, inWords, page } from './layout.ts';
import { zoneSelect } from './zones.ts';

export interface AgendaPage {
  feed: string;
  view: View;
  health: FeedHealth;
  description?: string | undefined;
  /** Source ids in the config's order: each has its colour. */
  sources: string[];
  occurrences: Occurrence[];
  /** There were more than are shown. */
  more: boolean;
  zone: string;
  today: string;
  /** First day shown, and the first one not shown. */
  from: string;
  until: string;
  /** Epoch milliseconds. */
  modified: number;
  now: number;
  /** The subscriber's own: shown to the one who brought it. */
  token: string;
  url: string;
  base: string;
}

/** The agenda a subscriber sees. All calendar text is a stranger's: it only ever goes through `html`. */
export function agendaPage(view: AgendaPage): Promise<string> {
  const { health, description, url, modified, now } = view;
  const body = html`<header>
<h1>${health.name}</h1>
${description ? html`<p>${description}</p>` : ''}
${view.view === 'busy' ? html`<p class="soft">This view shows when, but not what.</p>` : ''}
</header>
${healthNote(view)}
${subscribe(url, health.name)}
<section aria-labelledby="agenda">
<div class="row between">
<h2 id="agenda">Agenda</h2>
${pager(view)}
</div>
${zoneForm(view)}
${days(view)}
${
    view.more
      ? html`<p class="note">There is more than fits here: the feed holds all of it.</p>`
      : ''
  }
</section>`;
  const footer = html`<p>Last changed ${
    inWords((now - modified) / 1000)
  } ago. Times are in ${view.zone}.</p>`;
  return page({ title: health.name, body, base: view.base, footer });
}

function healthNote({ health, view }: AgendaPage): Html | string {
  const total = health.sources.length;
  const bad = health.sources.filter((s) => s.state !== 'ok');
  if (bad.length === 0) {
    const many = total === 1 ? 'The calendar' : `All ${total} calendars`;
    return html`<p class="note good">${many} behind this feed ${
      total === 1 ? 'is' : 'are'
    } up to date.</p>`;
  }
  const lines = bad.map((source) => {
    const name = view === 'full' ? `“${source.id}”` : 'One';
    if (source.state === 'waiting') return html`<li>${name} has never answered so far.</li>`;
    const age = inWords(source.ageSeconds ?? 0);
    return html`<li>${name} does not answer: what you see of it is ${age} old.</li>`;
  });
  return html`
    <div class="note">
      <p>${total - bad.length} of ${total} calendars behind this feed ${total - bad.length === 1
        ? 'is'
        : 'are'} up to date.</p>
      <ul>${lines}</ul>
    </div>
  `;
}

function subscribe(url: string, name: string): Html {
  const webcal = url.replace(/^https?:/, 'webcal:');
  const google = `https://calendar.google.com/calendar/r?cid=${encodeURIComponent(webcal)}`;
  const outlook = `https://outlook.live.com/calendar/0/addfromweb?url=${encodeURIComponent(url)}` +
    `&name=${encodeURIComponent(name)}`;
  const rel = 'noreferrer noopener';
  return html`
    <section class="card" aria-labelledby="subscribe">
      <h2 id="subscribe">Subscribe</h2>
      <p class="soft">Your calendar then follows all changes by itself.</p>
      <div class="row">
        <a class="button primary" href="${webcal}">Open in calendar app</a>
        <a class="button" rel="${rel}" href="${google}">Google Calendar</a>
        <a class="button" rel="${rel}" href="${outlook}">Outlook</a>
      </div>

      <label for="address" class="gap">Or copy this address into any calendar program</label>
      <input id="address" readonly value="${url}" spellcheck="false" autocomplete="off">
      <p class="small soft">It is your personal key to this feed: whoever has it can read along.</p>
    </section>
  `;
}

function link(view: AgendaPage, from: string): string {
  const query = new URLSearchParams({ token: view.token, zone: view.zone, from });
  return `${view.base}/proxy/${view.feed}?${query}`;
}

function pager(view: AgendaPage): Html {
  const span = (Date.parse(view.until) - Date.parse(view.from)) / 86_400_000;
  return html`<nav class="row" aria-label="Pages of the agenda">
<a class="button" href="${link(view, addDays(view.from, -span))}">Earlier</a>
${
    view.from === view.today
      ? ''
      : html`<a class="button" href="${link(view, view.today)}">Today</a>`
  }
<a class="button" href="${link(view, view.until)}">Later</a>
</nav>`;
}

function zoneForm(view: AgendaPage): Html {
  return html`
    <form method="get" action="${view.base}/proxy/${view.feed}" class="fields">
      <input type="hidden" name="token" value="${view.token}">
      <input type="hidden" name="from" value="${view.from}">
      <div class="field"><label for="zone">Time zone</label>${zoneSelect(view.zone)}</div>
      <button>Show</button>
    </form>
  `;
}

function days(view: AgendaPage): Html {
  const groups = new Map<string, Occurrence[]>();
  for (const occurrence of view.occurrences) {
    const first = firstDay(occurrence, view.zone);
    // What began before the page is listed on its first day.
    const day = first < view.from ? view.from : first;
    const group = groups.get(day);
    if (group) group.push(occurrence);
    else groups.set(day, [occurrence]);
  }
  if (groups.size === 0) {
    return html`<p class="card">Nothing between ${dayTitle(view.from, view.today)} and ${
      dayTitle(addDays(view.until, -1), view.today)
    }.</p>`;
  }
  const sorted = [...groups].sort(([a], [b]) => a < b ? -1 : 1);
  return html`${
    sorted.map(([day, list]) =>
      html`
        <section class="${day === view.today ? 'day today' : 'day'}">
          <h2><time datetime="${day}">${dayTitle(day, view.today)}</time>${day === view.today
            ? html`
              <span class="soft">· today</span>
            `
            : ''}</h2>
          <ul class="events">${list.map((occurrence) => event(occurrence, day, view))}</ul>
        </section>
      `
    )
  }`;
}

function event(occurrence: Occurrence, day: string, view: AgendaPage): Html {
  const { summary, location, source, cancelled } = occurrence;
  const busy = view.view === 'busy';
  const place = source === undefined ? -1 : view.sources.indexOf(source);
  const classes = [
    'event',
    ...(place > 0 ? [`s${place % 7}`] : []),
    ...(busy ? ['busy'] : []),
    ...(cancelled ? ['cancelled'] : []),
  ];
  return html`
    <li class="${classes.join(' ')}">
      <div class="when">${when(occurrence, day, view)}</div>
      <div class="what"><strong>${summary || (busy ? 'Busy' : 'Untitled')}</strong>
    ${cancelled ? html`<span class="small">Cancelled</span>` : ''}
    ${location ? html`<div class="small soft">${location}</div>` : ''}
    ${source !== undefined && view.sources.length > 1 && view.view === 'full'
      ? html`<div class="small soft"><span class="hidden">From calendar </span>${source}</div>`
      : ''}
      </div>
    </li>
  `;
}

function when(occurrence: Occurrence, day: string, view: AgendaPage): Html {
  const { zone, today } = view;
  const first = firstDay(occurrence, zone);
  const last = lastDay(occurrence, zone);
  const since = first < day ? html`<div class="small">since ${dayTitle(first, today)}</div>` : '';
  const until = last > day ? html`<div class="small">until ${dayTitle(last, today)}</div>` : '';
  if (occurrence.allDay) return html`All day${since}${until}`;
  const start = timeOf(occurrence.start, zone);
  const end = timeOf(occurrence.end, zone);
  const span = occurrence.end <= occurrence.start ? start : `${start}–${end}`;
  return html`<time datetime="${
    new Date(occurrence.start).toISOString()
  }">${span}</time>${since}${until}`;
}

/** All-day occurrences begin and end at midnights of the reader's zone. */
function firstDay(occurrence: Occurrence, zone: string): string {
  return dayOf(occurrence.start, zone);
}

function lastDay(occurrence: Occurrence, zone: string): string {
  return dayOf(Math.max(occurrence.start, occurrence.end - 1), zone);
}
