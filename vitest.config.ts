import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// unit: pure and in-process, no program but this one. peers: adapters against the real programs
// that are at hand. e2e: what crosses services and takes minutes.
export default defineConfig({
  test: {
    // Real programs wait more than they work, on two cores too. A project without a limit of its own would
    // be given all of it, and so run its files one after another between the others'.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{kit,services,dev,infra,talos,preseed,flux,manifests,tests}/**/*.test.ts'],
          exclude: ['**/*.peer.test.ts', '**/*.e2e.test.ts', '**/node_modules/**'],
          testTimeout: 20_000,
          // Half of their time went into loading the same modules again for each file.
          isolate: false,
        },
      },
      {
        test: {
          name: 'peers',
          include: [
            '{kit,services,dev,infra,talos,preseed,flux,manifests,tests}/**/*.peer.test.ts',
          ],
          setupFiles: ['tests/peers/setup.ts'],
          globalSetup: ['tests/peers/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['{services,tests}/**/*.e2e.test.ts'],
          setupFiles: ['tests/peers/setup.ts'],
          globalSetup: ['tests/peers/global-setup.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
