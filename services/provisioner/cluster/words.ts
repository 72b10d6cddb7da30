/** Flux's reasons in a member's words, with what to do. The message is the member's own doing: it
 * comes from their repository and must be escaped by whoever shows it. */
const WORDS: [RegExp, string, string][] = [
  [
    /repository not found|authentication required|could not read Username/i,
    'Your repository was not found, or it is private',
    'Check the address; the repository has to be readable without a login.',
  ],
  [
    /couldn't find remote ref|reference not found|unable to find/i,
    'Your repository has no such branch or tag',
    'Check the name of the branch; many repositories call it main or master.',
  ],
  [
    /path not found|no such file or directory/i,
    'The folder is not in your repository',
    'Check the path; ./ is the root of the repository.',
  ],
  [
    /exceeded quota/i,
    'Your files ask for more than your plan has',
    'Lower requests, limits or sizes, remove something, or ask for a larger plan.',
  ],
  [
    /violates PodSecurity/i,
    'A pod asks for rights that nobody has here',
    'Set the securityContext: run as non-root, drop all capabilities, seccomp RuntimeDefault.',
  ],
  [
    /denied request|ValidatingAdmissionPolicy/i,
    'The cluster does not allow something in your files',
    'The text below says which object and why.',
  ],
  [
    /forbidden/i,
    'Your files make something that tenants may not make',
    'Only objects of your own namespace, of the usual kinds, can be applied.',
  ],
  [
    /BuildFailed|kustomize build failed|MalformedYAML|yaml: |fs-security-constraint/i,
    'Your files could not be put together',
    'Check the YAML; remote files and bases are not allowed.',
  ],
  [
    /no matches for kind|could not find the requested resource/i,
    'Your files use a kind that this cluster does not know',
    'Check apiVersion and kind.',
  ],
  [
    /timeout|HealthCheckFailed|context deadline exceeded|stalled/i,
    'Something does not start',
    'Look at the events and logs of your pods with kubectl.',
  ],
  [
    /connection refused|no such host|i\/o timeout|dial tcp/i,
    'The host of your repository does not answer',
    'Nothing to do: it is tried again and again.',
  ],
];

/** What a condition means: text with Flux's own words behind it (bounded), and help. */
export function plainWords(reason: string, message: string): { text: string; help?: string } {
  const all = `${reason} ${message}`;
  const said = message.replaceAll(/\/\S*\/kustomization-\d+/g, '.') // the controller's own folder
    .replaceAll(/\s+/g, ' ').trim().slice(0, 500);
  for (const [pattern, text, help] of WORDS) {
    if (pattern.test(all)) return { text: said ? `${text}: ${said}` : text, help };
  }
  return { text: said || reason || 'It failed without a word' };
}
