/** metadata of every kind we read: open, since an API server adds fields. */
import { subdomain } from '../schema/names.ts';
import { integer, map, object, text } from '../schema/schema.ts';

const fields = {
  namespace: subdomain,
  uid: text(),
  labels: map(text()),
  annotations: map(text({ maxLength: 262_144 })),
  generation: integer(0, Number.MAX_SAFE_INTEGER),
  resourceVersion: text(),
  creationTimestamp: text(),
  deletionTimestamp: text(),
} as const;

/** A named object. */
export const metadata = object({ name: subdomain }, fields, { open: true });

/** A named object of a kind that lives in a namespace. */
export const namespacedMetadata = object({ name: subdomain, namespace: subdomain }, { ...fields }, { open: true });
