/** A browser for tests: a cookie jar an origin, redirects followed by hand, no JavaScript. */
export interface Page {
  status: number;
  url: string;
  headers: Headers;
  text: string;
}

export interface BrowserOptions {
  /** Origins answered in the process instead of over the network. */
  local?: Record<string, (request: Request) => Response | Promise<Response>>;
}

export function createBrowser(options: BrowserOptions = {}) {
  const jars = new Map<string, Map<string, string>>();
  const jar = (origin: string) => {
    if (!jars.has(origin)) jars.set(origin, new Map());
    return jars.get(origin)!;
  };

  async function once(url: URL, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    const cookies = jar(url.origin);
    // A cookie of the path / is kept under its name, any other under "name;path".
    const sent = [...cookies].flatMap(([key, value]) => {
      const [name, path = '/'] = key.split(';');
      return url.pathname.startsWith(path) ? [`${name}=${value}`] : [];
    });
    if (sent.length) headers.set('cookie', sent.join('; '));
    if (!headers.has('accept')) headers.set('accept', 'text/html,*/*');
    const local = options.local?.[url.origin];
    if (local && !headers.has('host')) headers.set('host', url.host);
    const request = new Request(url, { ...init, headers, redirect: 'manual' });
    const response = await (local ? local(request) : fetch(request));
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(';').map((part) => part.trim());
      const at = pair!.indexOf('=');
      const gone = attributes.some((a) => /^max-age=0$/i.test(a)) || at === pair!.length - 1;
      const path = attributes.find((a) => /^path=/i.test(a))?.slice(5) ?? '/';
      const key = pair!.slice(0, at) + (path === '/' ? '' : `;${path}`);
      if (gone) cookies.delete(key);
      else cookies.set(key, pair!.slice(at + 1));
    }
    return response;
  }

  async function go(to: string, init: RequestInit = {}, follow = true): Promise<Page> {
    let url = new URL(to);
    let response = await once(url, init);
    for (let hop = 0; follow && hop < 12; hop++) {
      const location = response.headers.get('location');
      if (!location || response.status < 300 || response.status > 399) break;
      await response.body?.cancel();
      url = new URL(location, url);
      response = await once(url, {});
    }
    return {
      status: response.status,
      url: url.href,
      headers: response.headers,
      text: await response.text(),
    };
  }

  return {
    jar,
    go,
    /** Submits a form as a page of `url`'s own origin would. */
    post(url: string, fields: Record<string, string>, follow = true): Promise<Page> {
      const { origin } = new URL(url);
      return go(url, {
        method: 'POST',
        body: new URLSearchParams(fields),
        headers: { origin, 'sec-fetch-site': 'same-origin' },
      }, follow);
    },
  };
}
export type Browser = ReturnType<typeof createBrowser>;
