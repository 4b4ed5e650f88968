/** Conditions of a retry policy that look at the head of an answer beyond its status: its headers and grpc-status. */
import type { Head } from '../http1/head.ts';
import type { HeaderMatchSpec, RetryCondition, RetrySpec } from '../model/http.ts';
import { valueMatch } from '../policy/header-match.ts';

export type AnswerVerdict = 'again' | 'not-again' | 'by-status';
export type AnswerMatch = (head: Head) => AnswerVerdict;

const grpcStatuses: Readonly<Partial<Record<RetryCondition, string>>> = {
  cancelled: '1',
  'deadline-exceeded': '4',
  'resource-exhausted': '8',
  internal: '13',
  unavailable: '14',
};

/** Null when the policy asks for none of these; an answer that says it was rate limited is only retried if asked for. */
export function compileAnswerMatch(spec: RetrySpec | null): AnswerMatch | null {
  if (spec === null || spec.on.length === 0) return null;
  const limited = spec.on.includes('envoy-ratelimited');
  const grpc = new Set(spec.on.map((condition) => grpcStatuses[condition]).filter((status) => status !== undefined));
  const headers = spec.on.includes('retriable-headers') ? (spec.retriableHeaders ?? []).map(headerMatch) : [];
  return (head) => {
    if (head.findName('x-envoy-ratelimited') >= 0) return limited ? 'again' : 'not-again';
    if (headers.some((matches) => matches(head))) return 'again';
    if (grpc.size === 0) return 'by-status';
    return grpc.has(head.get('grpc-status') ?? '') ? 'again' : 'by-status';
  };
}

function headerMatch(spec: HeaderMatchSpec): (head: Head) => boolean {
  const matches = valueMatch(spec);
  return (head) => {
    const values = head.getAll(spec.name);
    if (spec.match.kind === 'present') return values.length > 0 === (spec.match.present !== spec.invert);
    if (values.length === 0) return spec.treatMissingAsEmpty && matches('') !== spec.invert;
    return values.some(matches) !== spec.invert;
  };
}
