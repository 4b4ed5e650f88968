/** The trust bundle as a file that everybody may read. Invariant: a reader sees a whole bundle, old or new. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { formatTrustBundle, type TrustBundle } from '@chainmail/pki';

/** Writes beside the file, then renames. */
export async function publishBundle(file: string, bundle: TrustBundle): Promise<void> {
  await fs.mkdir(path.dirname(file), { recursive: true });
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await fs.writeFile(temporary, formatTrustBundle(bundle), { flag: 'wx' });
    await fs.chmod(temporary, 0o644); // whatever the umask: agents under another uid read it
    await fs.rename(temporary, file);
  } finally {
    await fs.rm(temporary, { force: true });
  }
}
