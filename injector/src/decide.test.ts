import test from 'ava';
import { type Decision, decide } from './decide.ts';
import type { Namespace, Pod } from './pod.ts';

const enabled = { name: 'shop', labels: { 'chainmail.dev/inject': 'enabled' } };
const disabled = { name: 'shop', labels: { 'chainmail.dev/inject': 'disabled' } };
const silent = { name: 'shop', labels: {} };
const unknown = { name: 'shop', labels: undefined };
const spec = { containers: [{ name: 'web' }] };
const labelled = (value: string): Pod => ({ metadata: { labels: { 'chainmail.dev/inject': value } }, spec });
const annotated = (value: string): Pod => ({ metadata: { annotations: { 'chainmail.dev/inject': value } }, spec });

const table: readonly (readonly [string, Pod, Namespace, Decision['kind'], RegExp])[] = [
  ['namespace enabled', { spec }, enabled, 'inject', /label .* of namespace shop is enabled/],
  ['namespace disabled', { spec }, disabled, 'skip', /namespace shop is disabled/],
  ['a namespace nobody knows', { spec }, unknown, 'deny', /namespace shop is not known/],
  ['a pod that speaks for itself there', labelled('disabled'), unknown, 'skip', /pod label/],
  ['kube-system, known or not', { spec }, { name: 'kube-system', labels: undefined }, 'skip', /kube-system/],
  ['nothing said', { spec }, silent, 'skip', /neither the pod nor namespace shop/],
  ['pod label over namespace', labelled('disabled'), enabled, 'skip', /pod label/],
  ['pod label in a silent namespace', labelled('enabled'), silent, 'inject', /pod label/],
  ['pod annotation over namespace', annotated('disabled'), enabled, 'skip', /pod annotation/],
  [
    'pod label over annotation',
    {
      metadata: { labels: { 'chainmail.dev/inject': 'enabled' }, annotations: { 'chainmail.dev/inject': 'disabled' } },
      spec,
    },
    disabled,
    'inject',
    /pod label/,
  ],
  [
    'hostNetwork even when asked for',
    { ...labelled('enabled'), spec: { ...spec, hostNetwork: true } },
    enabled,
    'skip',
    /hostNetwork/,
  ],
  [
    'hostNetwork before an invalid value',
    { ...labelled('yes'), spec: { ...spec, hostNetwork: true } },
    enabled,
    'skip',
    /hostNetwork/,
  ],
  ['Windows by os', { spec: { ...spec, os: { name: 'windows' } } }, enabled, 'skip', /Windows/],
  [
    'Windows by node selector',
    { spec: { ...spec, nodeSelector: { 'kubernetes.io/os': 'windows' } } },
    enabled,
    'skip',
    /Windows/,
  ],
  [
    'a mirror pod',
    { metadata: { annotations: { 'kubernetes.io/config.mirror': 'x' } }, spec },
    enabled,
    'skip',
    /mirror/,
  ],
  ['kube-system', labelled('enabled'), { ...enabled, name: 'kube-system' }, 'skip', /kube-system/],
  ['our own namespace', labelled('enabled'), { ...enabled, name: 'chainmail-system' }, 'skip', /chainmail-system/],
  ['an invalid pod label', labelled('true'), enabled, 'deny', /'true': write 'enabled' or 'disabled'/],
  ['an empty pod label', labelled(''), enabled, 'deny', /is ''/],
  ['an invalid pod annotation', annotated('Enabled'), enabled, 'deny', /pod annotation .* 'Enabled'/],
  [
    'an invalid namespace label',
    { spec },
    { name: 'shop', labels: { 'chainmail.dev/inject': 'on' } },
    'deny',
    /namespace shop is 'on'/,
  ],
];

for (const [what, pod, namespace, kind, reason] of table) {
  test(`${what}: ${kind}`, (t) => {
    const decision = decide(pod, namespace);
    t.is(decision.kind, kind);
    t.regex(decision.reason, reason);
  });
}

test('the namespace of the mesh is configurable', (t) => {
  t.is(decide({ spec }, { ...enabled, name: 'mesh' }, 'mesh').kind, 'skip');
  t.is(decide({ spec }, { ...enabled, name: 'chainmail-system' }, 'mesh').kind, 'inject');
});
