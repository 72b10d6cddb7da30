import type { Calendars } from './calendars.ts';
import type { Step } from './front.ts';
import type { Place } from './place.ts';
import type { Real } from './real.ts';
import { restartVault, type Vault, vaultMissing } from './vault.ts';

/** The steps of the front page: what can be done, and what is not the real thing. */
export function calendarStep(place: Place, calendars: Calendars): Step {
  return {
    title: 'Subscribe to one calendar out of many',
    text:
      'Three sample calendars are merged into one feed: a Windows time zone gets its definition, two events that share a UID are told apart, and the one broken event is kept out and shown to the administrator.',
    links: [
      { href: calendars.feed.replace('.ics?', '?'), text: 'The agenda' },
      { href: calendars.feed, text: 'The feed' },
      { href: calendars.busy, text: 'The feed, busy only' },
      { href: `${calendars.url}/admin`, text: 'Administration' },
    ],
    notes: [`The administrator’s token is in ${place.folder}/secrets/ics-proxy-admin.`],
  };
}

export function portalStep(
  url: string,
  real: Real | undefined,
  store: Record<string, unknown>,
): Step {
  const links = [{ href: url, text: 'The portal' }, {
    href: `${url}/admin`,
    text: 'Its administration',
  }];
  const title = 'Log in as a member, and ask for space';
  if (!real) {
    return {
      title,
      text:
        'The login offers a paying member, one who stopped paying, a closed account and an administrator. What a paying member asks for is shown as the real change first, and then committed to the tenants repo.',
      links,
      notes: [
        `A facade stands in for Keycloak, and nobody tracks the tenants repo: it is a bare repository in ${store.repositoryDir}.`,
      ],
    };
  }
  const { tree, garden, forge } = real;
  const { what, kubeconfig } = tree.flux.kubernetes;
  return {
    title,
    text:
      `Keycloak knows paying, lapsed, disabled and admin; the password of each is the name and “-password”. Ask for a space called garden with the repository ${garden}: the request becomes a signed commit, Flux applies it, and then what is in that repository, a calendar server among it.`,
    links,
    notes: [
      `kubectl --kubeconfig ${kubeconfig} get all -n tenant-garden`,
      `The cluster: ${what}.`,
      `Gitea ${forge.url} stands in for Forgejo. Flux applies the tree of flux/ without its charts, of which only the CRDs are there; its source-controller packs artifacts by a module of ours.`,
    ],
  };
}

export function vaultStep(vault: Vault | undefined, unsealer: string | undefined): Step {
  if (!vault || !unsealer) {
    return {
      title: 'The vault is not here',
      text: `There is ${vaultMissing()}`,
      links: [],
      notes: [],
    };
  }
  return {
    title: 'Restart the vault, and watch',
    text: 'A vault comes back sealed after every restart. The unsealer opens it at once.',
    links: [{ href: unsealer, text: 'The unsealer' }],
    action: {
      path: 'restart-vault',
      text: vault.standIn ? 'Restart the simulator' : 'Restart the vault',
      async run() {
        const times = (await restartVault(vault)).map(({ answered, open }) =>
          `answered ${answered} ms after its start, and was open at ${open} ms`
        );
        const nodes = vault.nodes.map(({ id }, i) => `${id} ${times[i]}`).join('; ');
        return `Restarted, and so sealed: ${vault.what}. ${nodes}.`;
      },
    },
    notes: [vault.standIn ?? `The vault is ${vault.what}, new with each start.`],
  };
}
