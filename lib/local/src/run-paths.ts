/** Where a local cluster keeps what, below its run directory. */
import path from 'node:path';
import { UserError } from '@chainmail/runtime';

export const runRoot = '/run/chainmail-dev';

export interface RunPaths {
  readonly dir: string;
  readonly name: string;
  /** The supervisor's API. */
  readonly socket: string;
  /** Live objects for control and injector, one file each. */
  readonly objects: string;
  readonly logs: string;
  /** What control writes about the user's objects. */
  readonly status: string;
  readonly caState: string;
  readonly jwks: string;
  readonly bundle: string;
  readonly values: string;
  /** Addresses given to Services, kept over restarts of the supervisor. */
  readonly addresses: string;
  readonly options: string;
  /** A tmpfs only the supervisor and its children see: volumes, tokens, pods' namespaces. */
  readonly private: string;
  /** The network namespace of the node, by its name in /run/netns. */
  readonly nodeNetns: string;
}

/** The longest path a unix socket can have (sun_path holds 108 bytes with the final zero). */
const maxSocketPath = 107;

export function runPaths(name: string, root: string = runRoot): RunPaths {
  if (!/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(name)) {
    throw new UserError('LOCAL_NAME', `'${name}' is not a name for a local cluster`, {
      hint: 'use up to 32 of a-z, 0-9 and -',
    });
  }
  const dir = path.join(root, name);
  const at = (file: string): string => path.join(dir, file);
  if (at('dev.sock').length > maxSocketPath) {
    throw new UserError('LOCAL_NAME', `${at('dev.sock')} is too long for a unix socket`, {
      hint: 'use a shorter folder',
    });
  }
  return {
    dir,
    name,
    socket: at('dev.sock'),
    objects: at('objects'),
    logs: at('logs'),
    status: at('status'),
    caState: at('ca'),
    jwks: at('jwks.json'),
    bundle: at('bundle.pem'),
    values: at('values.json'),
    addresses: at('addresses.json'),
    options: at('options.json'),
    private: at('private'),
    nodeNetns: `cm-${name}-node`,
  };
}
