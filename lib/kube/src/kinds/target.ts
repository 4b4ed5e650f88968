/** What a policy attaches to: Services by name or by labels in its own namespace, or, with neither, a whole namespace. */
import { subdomain } from '../schema/names.ts';
import { type Infer, list, map, object, oneOf, text } from '../schema/schema.ts';

const group = oneOf('', 'core');

export const targetRef = object(
  { kind: oneOf('Service'), name: subdomain },
  {
    group,
    sectionName: text({ noun: 'the name of a port of the Service', pattern: /^[a-z0-9-]{1,63}$/, maxLength: 63 }),
  },
  {
    instead: {
      namespace: {
        type: 'string',
        advice: 'a policy attaches to Services of its own namespace only; remove the field',
      },
    },
  },
);

const targetSelector = object({ kind: oneOf('Service'), matchLabels: map(text()) }, { group });

export type TargetRef = Infer<typeof targetRef>;
export type TargetSelector = Infer<typeof targetSelector>;

/** The two fields, to be spread into the spec of a policy. */
export const targets = {
  targetRefs: list(targetRef, { min: 1, max: 16 }),
  targetSelectors: list(targetSelector, { min: 1, max: 16 }),
} as const;
