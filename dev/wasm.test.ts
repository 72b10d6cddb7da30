import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compiled, modules } from './wasm.ts';

test.each(modules)(
  '%s.wasm.ts is what its source makes: if not, run `node dev/wasm.ts`',
  async (name) => {
    expect(readFileSync(`${name}.wasm.ts`, 'utf8')).toBe(await compiled(name));
  },
);
