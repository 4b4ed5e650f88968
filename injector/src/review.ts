/**
 * AdmissionReview v1 (admission.k8s.io) in, AdmissionReview v1 out. Pure: the object decides, the request says where
 * it goes, since a pod from a controller has neither name nor namespace of its own yet.
 */

import type { PatchOperation } from '@chainmail/kube';
import type { Decision } from './decide.ts';
import { type InjectionReport, inject } from './inject.ts';
import type { Namespace } from './pod.ts';
import type { AgentValues } from './values.ts';

export interface ReviewContext {
  readonly values: AgentValues;
  /** undefined for a namespace that is not known. */
  readonly namespace: (name: string) => Namespace | undefined;
}

export interface ReviewResponse {
  readonly apiVersion: 'admission.k8s.io/v1';
  readonly kind: 'AdmissionReview';
  readonly response: {
    readonly uid: string;
    readonly allowed: boolean;
    readonly patchType?: 'JSONPatch';
    /** base64 of the JSON Patch. */
    readonly patch?: string;
    readonly warnings?: readonly string[];
    readonly status?: { readonly code: number; readonly reason: string; readonly message: string };
  };
}

export type ReviewOutcome =
  | { readonly kind: 'malformed'; readonly message: string }
  | {
      readonly kind: 'answered';
      readonly body: ReviewResponse;
      readonly decision: Decision;
      /** namespace/name for the log. */
      readonly subject: string;
      readonly namespace: string;
      /** Nothing beyond the answer may come of it. */
      readonly dryRun: boolean;
      /** The controller that made the pod. */
      readonly owner: PodOwner | undefined;
      readonly report: InjectionReport;
    };

export interface PodOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

type Fields = Readonly<Record<string, unknown>>;

interface Request {
  readonly uid: string;
  readonly namespace: string;
  readonly subject: string;
  readonly whyNotOurs: string | undefined;
  readonly dryRun: boolean;
  readonly object: unknown;
}

const emptyReport: InjectionReport = { notes: [], warnings: [], refusals: [] };

/** The longest that a uid or a name may be: they are copied into the answer and the log. */
const maxNameLength = 253;

export function answerReview(body: unknown, context: ReviewContext): ReviewOutcome {
  const request = readRequest(body);
  if (typeof request === 'string') return { kind: 'malformed', message: request };
  if (request.whyNotOurs !== undefined) {
    return answered(request, { kind: 'skip', reason: request.whyNotOurs }, [], emptyReport);
  }
  const namespace = context.namespace(request.namespace) ?? { name: request.namespace, labels: undefined };
  const { decision, patch, report } = inject(request.object, namespace, context.values);
  return answered(request, decision, patch, report);
}

/** The namespace a review is about; undefined for what is no review of ours. */
export function reviewedNamespace(body: unknown): string | undefined {
  const request = readRequest(body);
  return typeof request === 'string' || request.whyNotOurs !== undefined ? undefined : request.namespace;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The request, or what is wrong with the review. */
function readRequest(body: unknown): Request | string {
  if (!isObject(body)) return 'the body must be an AdmissionReview object';
  if (body['kind'] !== 'AdmissionReview' || body['apiVersion'] !== 'admission.k8s.io/v1') {
    return `expected AdmissionReview of admission.k8s.io/v1, not ${String(body['kind'])} of ${String(body['apiVersion'])}`;
  }
  const request = body['request'];
  if (!isObject(request)) return 'request is missing';
  const { uid } = request;
  if (typeof uid !== 'string' || uid === '' || uid.length > maxNameLength) return 'request.uid is missing';
  const namespace = request['namespace'];
  if (typeof namespace !== 'string' || namespace.length > maxNameLength) return 'request.namespace is missing';
  const subject = `${namespace}/${nameOf(request)}`;
  return {
    uid,
    namespace,
    subject,
    whyNotOurs: whyNotOurs(request),
    dryRun: request['dryRun'] === true,
    object: request['object'],
  };
}

function nameOf(request: Fields): string {
  const metadata = isObject(request['object']) ? request['object']['metadata'] : undefined;
  const { name, generateName } = isObject(metadata) ? metadata : {};
  const given = [request['name'], name].find((n) => typeof n === 'string' && n !== '');
  const shown = given ?? (typeof generateName === 'string' ? `${generateName}*` : '?');
  return String(shown).slice(0, maxNameLength);
}

/** The controller among the owner references, whose name and kind are as untrusted as the rest of the pod. */
function ownerOf(object: unknown): PodOwner | undefined {
  const metadata = isObject(object) ? object['metadata'] : undefined;
  const references = isObject(metadata) ? metadata['ownerReferences'] : undefined;
  const found: unknown = Array.isArray(references)
    ? references.find((r: unknown) => isObject(r) && r['controller'] === true)
    : undefined;
  if (!isObject(found)) return undefined;
  const { apiVersion, kind, name, uid } = found;
  const all = [apiVersion, kind, name, uid];
  if (!all.every((v) => typeof v === 'string' && v !== '' && v.length <= maxNameLength)) return undefined;
  return { apiVersion, kind, name, uid } as PodOwner;
}

/** Only the creation of a pod is changed; what the API server sends beyond it means a rule that is too wide. */
function whyNotOurs(request: Fields): string | undefined {
  const kind = isObject(request['kind']) ? request['kind'] : {};
  if (kind['kind'] !== 'Pod' || (kind['group'] ?? '') !== '') return `a ${String(kind['kind'])} is not a Pod`;
  if (typeof request['subResource'] === 'string' && request['subResource'] !== '') {
    return `subresource ${request['subResource']} is not the pod itself`;
  }
  return request['operation'] === 'CREATE' ? undefined : `operation ${String(request['operation'])} is not CREATE`;
}

function answered(
  { uid, subject, namespace, dryRun, object }: Request,
  decision: Decision,
  patch: readonly PatchOperation[],
  report: InjectionReport,
): ReviewOutcome {
  const response: ReviewResponse['response'] = {
    uid,
    allowed: decision.kind !== 'deny',
    ...(patch.length === 0 ? {} : { patchType: 'JSONPatch', patch: encodePatch(patch) }),
    ...(report.warnings.length === 0 ? {} : { warnings: report.warnings }),
    ...(decision.kind === 'deny' ? { status: refusal(decision.reason) } : {}),
  };
  return {
    kind: 'answered',
    body: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response },
    decision,
    ...{ subject, namespace, dryRun, owner: ownerOf(object), report },
  };
}

function encodePatch(patch: readonly PatchOperation[]): string {
  return Buffer.from(JSON.stringify(patch)).toString('base64');
}

function refusal(reason: string) {
  return { code: 403, reason: 'Forbidden', message: `chainmail: ${reason}` };
}
