/** SPIFFE IDs from configuration and from Kubernetes names: what is wrong is the user's to correct, hence UserError. */
import { UserError } from '@chainmail/runtime';
import { readSpiffeId, type SpiffeId } from './spiffe-id.ts';

/** @throws UserError SPIFFE_ID_INVALID */
export function parseSpiffeId(text: string): SpiffeId {
  const result = readSpiffeId(text);
  if (result.ok) return result.id;
  throw new UserError('SPIFFE_ID_INVALID', `not a SPIFFE ID: ${JSON.stringify(text.slice(0, 200))}: ${result.reason}`, {
    hint: 'write spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>',
  });
}

/**
 * The id of a workload: `spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>`.
 * @throws UserError SPIFFE_ID_INVALID when a name cannot stand in an id, e.g. holds a slash.
 */
export function workloadId(trustDomain: string, namespace: string, serviceAccount: string): SpiffeId {
  for (const name of [namespace, serviceAccount]) {
    if (name.includes('/')) {
      throw new UserError('SPIFFE_ID_INVALID', `${JSON.stringify(name)} cannot be a segment of a SPIFFE ID`);
    }
  }
  return parseSpiffeId(`spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`);
}
