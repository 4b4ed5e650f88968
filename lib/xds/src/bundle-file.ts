/**
 * The trust bundle in a file that something else replaces (a ConfigMap's volume, the CA). Invariant: what is read is a
 * whole, valid bundle of the trust domain; a file that is not one changes nothing.
 */
import fs from 'node:fs/promises';
import { parseTrustBundle, type TrustBundle, type WorkloadIdentity } from '@chainmail/pki';
import { type Clock, type Logger, messageOf, UserError } from '@chainmail/runtime';

const maxFileBytes = 256 * 1024;
/** A new root signs only once every workload had a maximum lifetime to learn it: seconds do not matter. */
const lookEveryMs = 5000;

/** The text of a small file, trimmed. @throws UserError with the code */
export async function readSmallFile(path: string, code: string, what: string): Promise<string> {
  try {
    const { size } = await fs.stat(path);
    if (size > maxFileBytes) throw new Error(`larger than ${maxFileBytes} bytes`);
    const text = (await fs.readFile(path, 'utf8')).trim();
    if (text === '') throw new Error('empty');
    return text;
  } catch (error) {
    throw new UserError(code, `cannot read the ${what} ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws UserError CA_BUNDLE_UNREADABLE, CA_BUNDLE_INVALID */
export async function readBundleFile(path: string, trustDomain: string): Promise<TrustBundle> {
  return parseBundle(await readSmallFile(path, 'CA_BUNDLE_UNREADABLE', 'trust bundle'), trustDomain);
}

/** @throws UserError CA_BUNDLE_INVALID */
export function parseBundle(text: string, trustDomain: string): TrustBundle {
  try {
    return parseTrustBundle(text, trustDomain);
  } catch (error) {
    throw new UserError('CA_BUNDLE_INVALID', messageOf(error), { cause: error });
  }
}

export interface BundleFileOptions {
  readonly path: string;
  readonly trustDomain: string;
  /** Is offered every newer bundle, so that peers of a new root are known before the next renewal. */
  readonly identity: Pick<WorkloadIdentity, 'offerBundle'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Looks at the file every five seconds and offers what it holds when it changed. Asks for its content, not for events:
 * the symbolic links of a Kubernetes volume are exchanged above the file. Returns what ends it.
 */
export function followBundleFile(options: BundleFileOptions): () => void {
  const { path, trustDomain, identity, clock, log } = options;
  let stopped = false;
  let last = '';
  const look = async (): Promise<void> => {
    const text = await readSmallFile(path, 'CA_BUNDLE_UNREADABLE', 'trust bundle');
    if (stopped || text === last) return;
    last = text;
    const bundle = parseBundle(text, trustDomain);
    identity.offerBundle(bundle);
    log.info({ path, sequence: bundle.sequence, anchors: bundle.anchors.length }, 'trust bundle read');
  };
  let told = '';
  const tick = (): void => {
    look()
      .then(() => '')
      .catch((error: unknown) => messageOf(error))
      .then((problem) => {
        if (problem !== '' && problem !== told) log.warn({ path, reason: problem }, 'the trust bundle stays as it was');
        told = problem;
        if (!stopped) timer = clock.after(lookEveryMs, tick);
      });
  };
  let timer = clock.after(lookEveryMs, tick);
  return () => {
    stopped = true;
    timer.cancel();
  };
}
