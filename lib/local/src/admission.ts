/**
 * Sends a Pod through the injector's webhook as an API server would: AdmissionReview v1 over HTTPS, the server
 * verified against the mesh's own trust bundle.
 */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import { applyPatch, type PatchOperation } from '@chainmail/kube';
import { messageOf, system, UserError } from '@chainmail/runtime';
import type { Pod } from './pod.ts';

export type Admission =
  | { readonly kind: 'allowed'; readonly pod: Pod; readonly warnings: readonly string[] }
  | { readonly kind: 'denied'; readonly message: string }
  | { readonly kind: 'unavailable'; readonly message: string };

export interface Webhook {
  readonly host: string;
  readonly port: number;
  readonly bundleFile: string;
}

const timeoutMs = 5000;
const maxResponseBytes = 4 * 1024 * 1024;
const serverName = `${system.injectorServiceAccount}.${system.namespace}.svc`;

interface Response {
  readonly uid?: string;
  readonly allowed?: boolean;
  readonly status?: { readonly message?: string };
  readonly patchType?: string;
  readonly patch?: string;
  readonly warnings?: readonly string[];
}

function exchange(
  webhook: Webhook,
  method: string,
  path: string,
  body: string,
): Promise<{ code: number; text: string }> {
  return new Promise((done, fail) => {
    const request = https.request(
      {
        host: webhook.host,
        port: webhook.port,
        path,
        method,
        ca: fs.readFileSync(webhook.bundleFile),
        servername: serverName,
        agent: false,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (d: Buffer) => {
          size += d.length;
          if (size > maxResponseBytes) request.destroy(new Error('the response is too large'));
          else chunks.push(d);
        });
        response.on('end', () => done({ code: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      },
    );
    const deadline = setTimeout(() => request.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    request.on('close', () => clearTimeout(deadline));
    request.on('error', fail);
    request.end(body);
  });
}

function reviewOf(pod: Pod, uid: string): unknown {
  const { name = '', namespace = 'default' } = pod.metadata;
  const v1 = { group: '', version: 'v1' };
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid,
      kind: { ...v1, kind: 'Pod' },
      resource: { ...v1, resource: 'pods' },
      requestKind: { ...v1, kind: 'Pod' },
      requestResource: { ...v1, resource: 'pods' },
      name,
      namespace,
      operation: 'CREATE',
      userInfo: { username: 'meshctl-dev', groups: ['system:masters'] },
      object: pod,
      oldObject: null,
      dryRun: false,
    },
  };
}

function decide(pod: Pod, uid: string, text: string): Admission {
  const { response } = JSON.parse(text) as { readonly response?: Response };
  if (response === undefined || response.uid !== uid)
    return { kind: 'unavailable', message: 'not an answer to our review' };
  if (response.allowed !== true) return { kind: 'denied', message: response.status?.message ?? 'no reason given' };
  const warnings = response.warnings ?? [];
  if (response.patch === undefined) return { kind: 'allowed', pod, warnings };
  if (response.patchType !== 'JSONPatch')
    throw new UserError('LOCAL_ADMISSION_PATCH', `patchType ${response.patchType}`);
  const operations = JSON.parse(Buffer.from(response.patch, 'base64').toString()) as PatchOperation[];
  return { kind: 'allowed', pod: patched(pod, operations), warnings };
}

function patched(pod: Pod, operations: readonly PatchOperation[]): Pod {
  try {
    return applyPatch(pod, operations) as Pod;
  } catch (cause) {
    throw new UserError('LOCAL_ADMISSION_PATCH', messageOf(cause), { cause });
  }
}

/** Never rejects: what goes wrong on the way is `unavailable`, and the caller's failure policy decides. */
export async function admit(pod: Pod, webhook: Webhook): Promise<Admission> {
  const uid = randomUUID();
  try {
    const { code, text } = await exchange(webhook, 'POST', '/inject', JSON.stringify(reviewOf(pod, uid)));
    if (code !== 200) return { kind: 'unavailable', message: `the injector answered ${code}` };
    return decide(pod, uid, text);
  } catch (error) {
    return { kind: 'unavailable', message: `the injector cannot be asked: ${messageOf(error)}` };
  }
}
