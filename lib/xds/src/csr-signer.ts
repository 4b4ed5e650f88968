/**
 * The CSR service as a CsrSigner, over whatever speaks gRPC. Invariant: the token and the trust bundle are read from
 * their files for every request (Kubernetes rotates both), and the token is sent only to a server that has the CA's
 * SPIFFE ID.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type CsrSigner,
  formatSpiffeId,
  type SignedCertificate,
  type SigningRequest,
  type TrustBundle,
  workloadId,
} from '@chainmail/pki';
import { type Clock, system, UserError } from '@chainmail/runtime';
import type { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '../gen/istio/v1/auth/ca_pb.js';
import { parseBundle, readBundleFile, readSmallFile } from './bundle-file.ts';
import { messageNamed } from './registry.ts';
import { RpcFailure, rpcStatus, rpcStatusName } from './rpc-status.ts';
import type { SpiffeChannelOptions } from './spiffe-tls.ts';

export interface CaSignerOptions {
  /** host:port of the CSR service. */
  readonly address: string;
  readonly trustDomain: string;
  /** File with the trust bundle, or the bundle itself. */
  readonly trustBundle: { readonly path: string } | { readonly pem: string };
  /** File with the projected service-account token. */
  readonly tokenPath: string;
  /** The id the server must have; the mesh CA's own by default. */
  readonly caId?: string;
  readonly deadlineMs?: number;
  readonly clock?: Clock;
}

/** One unary call on a connection of its own, which is closed behind it. */
export interface UnaryCall {
  readonly address: string;
  /** For SNI and :authority only. */
  readonly serverName: string;
  readonly tls: SpiffeChannelOptions;
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly message: Uint8Array;
  readonly deadlineMs: number;
  readonly maxResponseBytes: number;
}

/** Resolves with the message of the answer; rejects with an RpcFailure. */
export type CallUnary = (call: UnaryCall) => Promise<Uint8Array>;

/** Of istio.v1.auth.IstioCertificateService. */
export const csrPath = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const maxResponseBytes = 512 * 1024;

const requestSchema = () => messageNamed<typeof IstioCertificateRequestSchema>('istio.v1.auth.IstioCertificateRequest');
const responseSchema = () =>
  messageNamed<typeof IstioCertificateResponseSchema>('istio.v1.auth.IstioCertificateResponse');

function readBundle({ trustBundle, trustDomain }: CaSignerOptions): TrustBundle | Promise<TrustBundle> {
  return 'pem' in trustBundle
    ? parseBundle(trustBundle.pem, trustDomain)
    : readBundleFile(trustBundle.path, trustDomain);
}

function refusal(failure: RpcFailure, address: string): UserError {
  const text = `the CA at ${address}: ${failure.details} (${rpcStatusName(failure.code)})`;
  switch (failure.code) {
    case rpcStatus.UNAVAILABLE:
    case rpcStatus.DEADLINE_EXCEEDED:
      return new UserError('CA_UNREACHABLE', text, { hint: 'check the address, the network and the trust bundle' });
    default:
      return new UserError('CA_REFUSED', text, { hint: "the CA's audit log has the reason" });
  }
}

/**
 * A connection lives for one request: renewals are hours apart, and an idle HTTP/2 session costs memory in every pod.
 * Rejections are UserErrors: CA_TOKEN_UNREADABLE, CA_BUNDLE_UNREADABLE, CA_BUNDLE_INVALID, CA_UNREACHABLE, CA_REFUSED.
 */
export function createCsrSigner(options: CaSignerOptions, call: CallUnary): CsrSigner {
  const { address, trustDomain, clock, deadlineMs = 10_000 } = options;
  const ca = formatSpiffeId(workloadId(trustDomain, system.namespace, system.caServiceAccount));
  return {
    async sign({ csrPem, ttlSeconds = 0 }: SigningRequest): Promise<SignedCertificate> {
      const token = await readSmallFile(options.tokenPath, 'CA_TOKEN_UNREADABLE', 'service-account token');
      const bundle = await readBundle(options);
      const request = create(requestSchema(), { csr: csrPem, validityDuration: BigInt(ttlSeconds) });
      const common = { bundles: () => [bundle], expected: [options.caId ?? ca] };
      try {
        const answer = await call({
          address,
          serverName: `${system.caServiceAccount}.${system.namespace}.svc`,
          tls: clock === undefined ? common : { ...common, clock },
          path: csrPath,
          metadata: { authorization: `Bearer ${token}` },
          message: toBinary(requestSchema(), request),
          deadlineMs,
          maxResponseBytes,
        });
        const { certChain, trustAnchors, bundleSequence } = fromBinary(responseSchema(), answer);
        return { chainPem: certChain, trustAnchorsPem: trustAnchors, bundleSequence: Number(bundleSequence) };
      } catch (error) {
        throw error instanceof RpcFailure ? refusal(error, address) : error;
      }
    },
  };
}
