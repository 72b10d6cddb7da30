/** Files that are encrypted with age (age-encryption.org/v1), so that they may lie on a shared disk. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { AppError } from '@hackspace/kit/errors.ts';
import { armor, Decrypter, Encrypter } from 'age-encryption';

const maxBytes = 1 << 20;

/** Writes `text` for the holders of `recipients` (`age1…`), as armored text, complete or not at all. */
export async function seal(text: string, recipients: string[], file: string): Promise<void> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch (cause) {
      throw new AppError('invalid', `Cannot encrypt for ${recipient}: not an age recipient`, {
        cause,
      });
    }
  }
  const bytes = armor.encode(await encrypter.encrypt(text));
  await writeFile(`${file}.new`, bytes, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** The text of a sealed file. `identityFile` holds one or more lines `AGE-SECRET-KEY-1…`, comments begin with #. */
export async function unseal(file: string, identityFile: string): Promise<string> {
  const decrypter = new Decrypter();
  const lines = (await small(identityFile)).split('\n').map((line) => line.trim());
  const identities = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (identities.length === 0) {
    throw new AppError('invalid', `Cannot decrypt ${file}: ${identityFile} holds no identity`);
  }
  const sealed = await small(file);
  try {
    for (const identity of identities) decrypter.addIdentity(identity);
    return await decrypter.decrypt(armor.decode(sealed), 'text');
  } catch {
    // The library's words may quote its input: they stay here.
    throw new AppError(
      'invalid',
      `Cannot decrypt ${file} with ${identityFile}: damaged, or made for another identity`,
    );
  }
}

async function small(file: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw new AppError('invalid', `Cannot read ${file}`, { cause });
  }
  if (bytes.length > maxBytes) throw new AppError('invalid', `Cannot use ${file}: more than 1 MiB`);
  return new TextDecoder().decode(bytes);
}
