/** Compiles the AssemblyScript of this repository: `node dev/wasm.ts` writes each module beside its source. */
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { main } from 'assemblyscript/asc';

export const modules = ['services/ics-proxy/calendar/lexer', 'services/ics-proxy/calendar/sha256'];

/** The text of `NAME.wasm.ts`, made of `NAME.as`. */
export async function compiled(name: string): Promise<string> {
  let wasm: Uint8Array | undefined;
  const { error, stderr } = await main(
    ['in.ts', '-o', 'out.wasm', '-O3', '--runtime', 'stub', '--enable', 'simd', '--noAssert']
      .concat('--use', 'abort=', '--initialMemory', '8', '--maximumMemory', '8'),
    {
      readFile: (file) => file === 'in.ts' ? readFileSync(`${name}.as`, 'utf8') : null,
      writeFile: (_, contents) => void (wasm = contents as unknown as Uint8Array),
      listFiles: () => [],
    },
  );
  if (error || !wasm) {
    throw new Error(`Cannot compile ${name}.as: ${stderr.toString()}`, { cause: error });
  }
  const file = name.slice(name.lastIndexOf('/') + 1);
  return `// Made of ${file}.as by dev/wasm.ts.\nexport default '${
    Buffer.from(wasm).toString('base64')
  }';\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const name of modules) writeFileSync(`${name}.wasm.ts`, await compiled(name));
  process.exit(0);
}
