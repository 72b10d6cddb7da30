/**
 * What RFC 5545 asks of a published calendar, written apart from the code it judges: shares nothing
 * with the parser. Returns faults in words; none means valid.
 */
export function faultsOf(bytes: Uint8Array): string[] {
  const faults: string[] = [];
  const lines = logicalLines(bytes, faults);
  const parsed = lines.map((line) => {
    const match = CONTENT_LINE.exec(line);
    if (!match) faults.push(`not a content line: ${JSON.stringify(line.slice(0, 80))}`);
    return match
      ? { name: match[1]!.toUpperCase(), params: match[2]!, value: match[3]! }
      : undefined;
  }).filter((line) => line !== undefined);
  const root = tree(parsed, faults);
  if (root) judge(root, faults);
  return faults;
}

interface Line {
  name: string;
  params: string;
  value: string;
}
interface Node {
  type: string;
  lines: Line[];
  children: Node[];
}

// No repetition stands in another over the same characters: linear.
const CONTENT_LINE =
  /^([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)*):(.*)$/s;

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code < 32 && code !== 9) || code === 127) return true;
  }
  return false;
}

function logicalLines(bytes: Uint8Array, faults: string[]): string[] {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const lines: string[] = [];
  let start = 0;
  while (start < bytes.length) {
    let end = start;
    while (end < bytes.length && bytes[end] !== 13 && bytes[end] !== 10) end++;
    if (bytes[end] !== 13 || bytes[end + 1] !== 10) {
      faults.push(`line ${lines.length + 1} does not end in CRLF`);
      return lines;
    }
    if (end - start > 75) faults.push(`a line of ${end - start} octets`);
    if (end === start) faults.push('an empty line');
    let text = '';
    try {
      text = decoder.decode(bytes.subarray(start, end));
    } catch {
      faults.push(
        `a line that is not UTF-8: ${JSON.stringify(String(bytes.subarray(start, end)))}`,
      );
    }
    if (hasControl(text)) faults.push(`a control character in ${JSON.stringify(text)}`);
    if (/^[ \t]/.test(text) && lines.length > 0) lines[lines.length - 1] += text.slice(1);
    else lines.push(text);
    start = end + 2;
  }
  return lines;
}

function tree(lines: Line[], faults: string[]): Node | undefined {
  const stack: Node[] = [];
  let root: Node | undefined;
  for (const line of lines) {
    const top = stack.at(-1);
    const type = line.value.toUpperCase();
    if (line.name === 'BEGIN') {
      const node = { type, lines: [], children: [] };
      if (top) top.children.push(node);
      else if (root) faults.push('two objects in one stream');
      else root = node;
      stack.push(node);
    } else if (line.name === 'END') {
      if (top?.type !== type) faults.push(`END:${type} closes ${top?.type}`);
      stack.pop();
    } else if (top) top.lines.push(line);
    else faults.push(`${line.name} stands outside`);
  }
  if (stack.length > 0) faults.push(`${stack.at(-1)!.type} is not closed`);
  return root;
}

const DATE = /^\d{8}(?:T\d{6}Z?)?$/;
const IDENTIFIED = new Set(['VEVENT', 'VTODO', 'VJOURNAL', 'VFREEBUSY']);

function judge(root: Node, faults: string[]): void {
  if (root.type !== 'VCALENDAR') faults.push(`the object is a ${root.type}`);
  const count = (node: Node, name: string) => node.lines.filter((l) => l.name === name).length;
  for (const name of ['VERSION', 'PRODID', 'X-WR-CALNAME', 'NAME']) {
    if (count(root, name) !== 1) faults.push(`${count(root, name)} times ${name}`);
  }
  if (count(root, 'METHOD') > 0) faults.push('METHOD in a published feed');
  if (root.children.length === 0) faults.push('a VCALENDAR without a component');
  const identities = new Set<string>();
  const used = new Set<string>();
  const zones: string[] = [];
  for (const node of root.children) {
    if (node.type === 'VTIMEZONE') {
      zones.push(judgeZone(node, faults));
      continue;
    }
    collectTzids(node, used);
    if (!IDENTIFIED.has(node.type)) continue;
    for (const name of ['UID', 'DTSTAMP']) {
      if (count(node, name) !== 1) {
        faults.push(`${count(node, name)} times ${name} in a ${node.type}`);
      }
    }
    for (const { name, value } of node.lines) {
      if (
        /^(?:DTSTART|DTEND|DUE|DTSTAMP|RECURRENCE-ID)$/.test(name) &&
        !DATE.test(value.toUpperCase())
      ) {
        faults.push(`${name} is ${value.slice(0, 30)}`);
      }
      if (name === 'RRULE' && !/(?:^|;)FREQ=/i.test(value)) faults.push('RRULE without FREQ');
    }
    if (node.type === 'VEVENT' && count(node, 'DTSTART') !== 1) {
      faults.push('VEVENT without DTSTART');
    }
    const uid = node.lines.find((l) => l.name === 'UID')?.value ?? '';
    if (uid.trim() === '') faults.push('an empty UID');
    const rid = node.lines.find((l) => l.name === 'RECURRENCE-ID');
    const identity = JSON.stringify([
      uid,
      rid?.value,
      /TZID=([^;]*)/i.exec(rid?.params ?? '')?.[1],
    ]);
    if (identities.has(`${node.type}${identity}`)) faults.push(`two components are ${identity}`);
    identities.add(`${node.type}${identity}`);
  }
  if (new Set(zones).size !== zones.length) faults.push('two VTIMEZONEs of one TZID');
  for (const tzid of used) {
    if (!zones.includes(tzid)) faults.push(`TZID ${JSON.stringify(tzid)} is not defined`);
  }
  for (const tzid of zones) {
    if (!used.has(tzid) && !(tzid === 'Etc/UTC' && root.children.length === 1)) {
      faults.push(`VTIMEZONE ${JSON.stringify(tzid)} is not used`);
    }
  }
}

function judgeZone(node: Node, faults: string[]): string {
  const tzids = node.lines.filter((l) => l.name === 'TZID');
  if (tzids.length !== 1) faults.push(`VTIMEZONE with ${tzids.length} TZIDs`);
  const parts = node.children.filter((c) => c.type === 'STANDARD' || c.type === 'DAYLIGHT');
  if (parts.length === 0) faults.push('VTIMEZONE without observances');
  for (const part of parts) {
    for (const name of ['DTSTART', 'TZOFFSETFROM', 'TZOFFSETTO']) {
      if (!part.lines.some((l) => l.name === name)) faults.push(`${part.type} without ${name}`);
    }
  }
  return (tzids[0]?.value ?? '').replace(/\\([\\;,])/g, '$1');
}

function collectTzids(node: Node, into: Set<string>): void {
  for (const { params } of node.lines) {
    for (const match of params.matchAll(/;([A-Za-z0-9-]+)=("[^"]*"|[^;:,"]*)/g)) {
      const value = match[2]!.replaceAll('"', '');
      if (match[1]!.toUpperCase() === 'TZID' && value !== '') into.add(value);
    }
  }
  for (const child of node.children) collectTzids(child, into);
}
