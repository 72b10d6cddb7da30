import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kubeconform } from '../peers/kubeconform.ts';
import { type Kubernetes, startKubernetes } from '../peers/kubernetes.ts';
import { here } from '../peers/lib/here.ts';
import { needs } from '../peers/lib/needs.ts';
import { run } from '../peers/lib/run.ts';
import { type Document, documentsOf, type Entry, filesOf, ROOT } from './documents.ts';
import {
  applyAsFlux,
  lock,
  shippedPolicy,
  tenantManifests,
  tenantRecord,
} from './lockdown/world.ts';
import { pathOf } from './lockdown/attempt.ts';
import { writeSchemas } from './schemas.ts';
import { typeModule } from './typed.ts';

const GARDEN = 'system:serviceaccount:tenant-garden:tenant';
const folders = ['flux', 'manifests/core', 'manifests/services', 'manifests/tenant'];
const invalid = filesOf('tests/infra/invalid');
/** What a fixture's head says about it: `# server: …`. */
const said = (text: string, who: string) => new RegExp(`^# ${who}: (.+)$`, 'm').exec(text)?.[1];

needs('kubernetes', 'kubeconform')(
  'every manifest, by the real API server, kubeconform and types',
  () => {
    let cluster: Kubernetes;
    let schemas: string;
    const scratch = mkdtempSync(join(tmpdir(), 'hackspace-manifests-'));

    beforeAll(async () => {
      cluster = await startKubernetes();
      await lock(cluster);
      const policy = shippedPolicy();
      await applyAsFlux(cluster, tenantManifests(tenantRecord('garden', policy), policy));
      const namespaces = folders.flatMap(documentsOf).filter((e) =>
        e.document.kind === 'Namespace'
      );
      for (const { document } of namespaces) {
        await cluster.apply(JSON.stringify(document), '--force-conflicts');
      }
      const kinds = [...folders, 'tests/infra/invalid'].flatMap(documentsOf)
        .map(({ document }) => `${document.apiVersion} ${document.kind}`);
      schemas = await writeSchemas(cluster, join(scratch, 'schemas'), new Set(kinds));
    });
    afterAll(async () => {
      await cluster?.stop();
      rmSync(scratch, { recursive: true, force: true });
    });

    /** Server-side dry run, strict; as the tenant where it is a tenant's. Undefined when accepted. */
    const byServer = async (
      { path, document }: Entry,
      tenant: boolean,
    ): Promise<string | undefined> => {
      const namespace = tenant ? { namespace: 'tenant-garden' } : {};
      const object = { ...document, metadata: { ...document.metadata, ...namespace } };
      const query = 'dryRun=All&fieldValidation=Strict&force=true&fieldManager=test';
      const answer = await cluster.ask(`${await pathOf(cluster, object)}?${query}`, {
        method: 'PATCH',
        headers: {
          'content-type': 'application/apply-patch+yaml',
          ...(tenant ? { 'impersonate-user': GARDEN } : {}),
        },
        body: JSON.stringify(object),
      });
      if (answer.status < 300) return undefined;
      return `${path} ${document.kind}/${document.metadata.name}: ${answer.json().message}`;
    };
    const byKubeconform = (files: string[]) =>
      kubeconform().run(['-strict', '-summary', '-schema-location', schemas, ...files]);

    for (const folder of folders) {
      test(`the API server takes all of ${folder}`, async () => {
        const entries = documentsOf(folder);
        expect(entries.length).toBeGreaterThan(5);
        const faults: (string | undefined)[] = [];
        for (const entry of entries) {
          faults.push(await byServer(entry, folder === 'manifests/tenant'));
        }
        expect(faults.filter(Boolean)).toEqual([]);
      });
    }

    test('kubeconform takes all of them, strictly', async () => {
      const files = folders.flatMap((folder) =>
        documentsOf(folder).map(({ document }, i) => {
          const file = join(scratch, `${folder.replaceAll('/', '-')}-${i}.json`);
          writeFileSync(file, JSON.stringify(document));
          return file;
        })
      );
      const { code, stdout } = await byKubeconform(files);
      expect(stdout).toMatch(
        new RegExp(`Valid: ${files.length}, Invalid: 0, Errors: 0, Skipped: 0`),
      );
      expect(code).toBe(0);
    });

    test('tsc takes those that have types, and refuses the fixtures that say so', async () => {
      const check = async (documents: Document[]) => {
        const file = join(ROOT, 'node_modules', `.typed-${process.pid}.ts`);
        const { text, typed } = typeModule(documents);
        writeFileSync(file, text);
        try {
          const tsc = join(ROOT, 'node_modules/.bin/tsc');
          const { stdout } = await run(tsc, [
            '--noEmit',
            '--strict',
            '--skipLibCheck',
            '--module',
            'nodenext',
            '--ignoreConfig',
            '--types',
            'node',
            file,
          ], { cwd: ROOT, timeoutMs: 120_000 });
          return { stdout, typed };
        } finally {
          rmSync(file);
        }
      };
      const good = await check(
        folders.flatMap(documentsOf).map((e) => e.document),
      );
      expect(good.stdout).toBe('');
      expect(good.typed).toBeGreaterThan(100);
      for (const path of invalid) {
        const want = said(readFileSync(join(ROOT, path), 'utf8'), 'types');
        if (!want) continue;
        const { stdout } = await check(
          documentsOf('tests/infra/invalid').filter((e) => e.path === path).map((e) => e.document),
        );
        expect(stdout, path).toContain('error TS');
        expect(stdout, path).toContain(want);
      }
    }, 180_000);

    test('each invalid fixture is refused, for the reason it names', async () => {
      expect(readdirSync(here(import.meta, 'invalid')).length).toBeGreaterThan(5);
      for (const path of invalid) {
        const text = readFileSync(join(ROOT, path), 'utf8');
        const [entry] = documentsOf('tests/infra/invalid').filter((each) => each.path === path);
        const fault = await byServer(entry!, said(text, 'as') === 'tenant');
        expect(fault, path).toContain(said(text, 'server'));
        const wanted = said(text, 'kubeconform');
        if (!wanted) continue;
        const { code, stdout } = await byKubeconform([join(ROOT, path)]);
        expect(code, path).toBe(1);
        expect(stdout, path).toContain(wanted);
      }
    });
  },
);
