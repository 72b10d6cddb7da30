/** Keycloak's login form, filled in without a browser: for tests of the code flow. */

export interface LoginResult {
  /** The redirect back, when the login was accepted: `code` and `state`, or `error`. */
  back: URL | undefined;
  status: number;
  /** The page's text when there was no redirect: what the person reads. */
  text: string;
}

/** Opens an authorization URL, posts name and password; a redirect to elsewhere is caught, not followed. */
export async function fillLogin(
  authorization: URL | string,
  username: string,
  password: string,
): Promise<LoginResult> {
  const cookies = new Map<string, string>();
  const own = new URL(authorization).origin;
  const go = async (url: string, form?: URLSearchParams) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, {
      redirect: 'manual',
      headers: { cookie },
      signal: AbortSignal.timeout(20_000),
      ...(form ? { method: 'POST', body: form } : {}),
    });
    // Marked Secure even over http on loopback; kept all the same, as browsers do there.
    for (const each of answer.headers.getSetCookie()) {
      const [pair, ...attributes] = each.split(';') as [string, ...string[]];
      const equals = pair.indexOf('=');
      const name = pair.slice(0, equals);
      if (attributes.some((a) => /^\s*max-age=0$/i.test(a))) cookies.delete(name);
      else cookies.set(name, pair.slice(equals + 1));
    }
    return answer;
  };
  const result = async (answer: Response): Promise<LoginResult> => {
    const location = answer.headers.get('location');
    if (location && new URL(location).origin !== own) {
      return { back: new URL(location), status: answer.status, text: '' };
    }
    const html = await answer.text();
    const text = html.replace(/<(script|style)[\s\S]*?<\/\1>/g, ' ').replace(/<[^>]+>/g, ' ');
    return { back: undefined, status: answer.status, text: text.replace(/\s+/g, ' ').trim() };
  };
  const page = await go(String(authorization));
  const html = page.status === 200 ? await page.clone().text() : '';
  const action = /<form[^>]*\saction="([^"]+)"/.exec(html)?.[1]?.replaceAll('&amp;', '&');
  if (!action) return await result(page);
  return await result(
    await go(action, new URLSearchParams({ username, password, credentialId: '' })),
  );
}
