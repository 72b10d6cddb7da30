import { type Html, html } from './layout.ts';

const REGIONS = [
  'Europe',
  'America',
  'Asia',
  'Africa',
  'Australia',
  'Pacific',
  'Atlantic',
  'Indian',
  'Antarctica',
  'Arctic',
];
let grouped: Map<string, string[]> | undefined;

/** The runtime's zones by region. */
function byRegion(): Map<string, string[]> {
  if (grouped) return grouped;
  grouped = new Map(REGIONS.map((region) => [region, []]));
  for (const zone of Intl.supportedValuesOf('timeZone')) {
    grouped.get(zone.split('/')[0]!)?.push(zone);
  }
  return grouped;
}

/** A `<select>` of every zone; `chosen` is offered even where the runtime does not list it. */
export function zoneSelect(chosen: string): Html {
  const option = (zone: string) =>
    html`
      <option value="${zone}" ${zone === chosen
        ? html`
          selected
        `
        : ''}>${zone.split('/').slice(1).join(' / ').replaceAll('_', ' ') || zone}</option>
    `;
  const groups = [...byRegion()].filter(([, zones]) => zones.length > 0);
  const listed = chosen === 'UTC' || groups.some(([, zones]) => zones.includes(chosen));
  return html`<select id="zone" name="zone">
${option('UTC')}${listed ? '' : option(chosen)}
${
    groups.map(([region, zones]) =>
      html`<optgroup label="${region}">${zones.map(option)}</optgroup>`
    )
  }
</select>`;
}
