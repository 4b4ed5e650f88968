/** `chainmail-ca root ...`: the steps of a root rotation, on the store of a CA that may be running. */
import { fingerprint, readCertificate, readPemCertificates } from '@chainmail/pki';
import { createRoot } from '@chainmail/pki/authority';
import { type Clock, UserError } from '@chainmail/runtime';
import { activateRoot, type CaState, dropRetiredRoots, prepareRoot } from './ca-state.ts';
import type { RootOptions } from './options.ts';
import type { CaStore } from './store.ts';

const rootLifetimeMs = 10 * 365 * 24 * 3600 * 1000;

async function nextState(step: RootOptions['step'], state: CaState, clock: Clock): Promise<CaState> {
  const nowMs = clock.now();
  switch (step) {
    case 'show':
      return state;
    case 'prepare': {
      const root = await createRoot({ trustDomain: state.trustDomain, nowMs, lifetimeMs: rootLifetimeMs });
      return prepareRoot(state, root, nowMs);
    }
    case 'activate':
      return activateRoot(state, nowMs);
    case 'drop':
      return dropRetiredRoots(state, nowMs);
  }
}

function describe(state: CaState): string {
  const rows = state.roots.flatMap((root) =>
    readPemCertificates(root.certificatePem).map((der) => {
      const end = new Date(readCertificate(der).notAfterMs).toISOString();
      return `${root.role.padEnd(8)}  until ${end}  sha256 ${fingerprint(der)}`;
    }),
  );
  return [`trust domain ${state.trustDomain}, bundle sequence ${state.sequence}`, ...rows].join('\n');
}

/** The state after the step, for people. @throws UserError when the step may not be taken now. */
export async function runRootCommand(options: RootOptions, store: CaStore, clock: Clock): Promise<string> {
  const stored = await store.load();
  if (stored === undefined) {
    const { backing } = options;
    const where = backing.kind === 'folder' ? backing.stateDir : 'the cluster';
    throw new UserError('CA_STATE_MISSING', `${where} holds no CA state`, {
      hint: 'start chainmail-ca once',
    });
  }
  if (stored.state.trustDomain !== options.trustDomain) {
    throw new UserError('CA_TRUST_DOMAIN', `the state is of trust domain ${stored.state.trustDomain}`, {
      hint: `add --trust-domain ${stored.state.trustDomain} if that is the one`,
    });
  }
  const next = await nextState(options.step, stored.state, clock);
  if (next !== stored.state && !(await store.replace(next, stored.revision))) {
    throw new UserError('CA_ROTATION', 'the CA changed its state at the same time', { hint: 'run the command again' });
  }
  return describe(next);
}
