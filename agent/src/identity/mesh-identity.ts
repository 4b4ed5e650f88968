/**
 * The pod's identity as the agent uses it: a certificate from the mesh CA, kept fresh, given to the workers as the two
 * secrets that xDS refers to, and to the control plane's channel. Loaded only in sidecar mode.
 */
import { formatSpiffeId, type IdentityMaterial, WorkloadIdentity, workloadId } from '@chainmail/pki';
import { type Clock, type Logger, xdsNames } from '@chainmail/runtime';
import { createCsrSigner } from '@chainmail/xds/rpc';
import type { IdentityFigures } from '../bootstrap/main-stats.ts';
import type { SidecarSettings } from '../bootstrap/sidecar-settings.ts';
import type { SecretSpec } from '../model/tls.ts';
import { callCa } from './call-ca.ts';

export interface MeshIdentity {
  readonly workload: WorkloadIdentity;
  /** What peers see of us. */
  readonly spiffeId: string;
  figures(): IdentityFigures;
  stop(): void;
}

/** Starts to ask for a certificate. The secrets come at the first one and after each rotation. */
export function startIdentity(
  settings: SidecarSettings,
  clock: Clock,
  log: Logger,
  onSecrets: (secrets: readonly SecretSpec[]) => void,
): MeshIdentity {
  const { trustDomain, namespace, serviceAccount } = settings;
  const spiffeId = formatSpiffeId(workloadId(trustDomain, namespace, serviceAccount));
  const signer = createCsrSigner(
    {
      address: settings.caAddress,
      trustDomain,
      trustBundle: { path: settings.trustBundlePath },
      tokenPath: settings.tokenPath,
      clock,
    },
    callCa,
  );
  const workload = new WorkloadIdentity({
    signer,
    trustDomain,
    expectedId: spiffeId,
    clock,
    log,
    ...(settings.certificateTtlSeconds === null ? {} : { ttlSeconds: settings.certificateTtlSeconds }),
  });
  const count = { renewals: 0, failures: 0 };
  workload.subscribe((event) => {
    if (event.type === 'rotated') count.renewals++;
    else if (event.type === 'renewal-failed') count.failures++;
    if (event.type === 'rotated' || event.type === 'bundle-changed') onSecrets(secretsOf(event.material));
    else if (event.type === 'expired') onSecrets(withdrawn);
  });
  workload.start();
  const figures = (): IdentityFigures => {
    const held = workload.current();
    return { ...count, notAfterMs: held?.notAfterMs ?? null, bundleSequence: held?.sequence ?? 0 };
  };
  return { workload, spiffeId, figures, stop: () => workload.stop() };
}

export function secretsOf(material: IdentityMaterial): readonly SecretSpec[] {
  const { chainPem, keyPem, bundlePem } = material;
  return [
    { name: xdsNames.ownCertificateSecret, kind: 'certificate', chainPem, keyPem },
    { name: xdsNames.trustBundleSecret, kind: 'trust', bundlePem },
  ];
}

/** Empty material: contexts that use it refuse connections until there is a new certificate. */
const withdrawn: readonly SecretSpec[] = [
  { name: xdsNames.ownCertificateSecret, kind: 'certificate', chainPem: '', keyPem: '' },
];
