/**
 * The CSR service over gRPC as a CsrSigner. Invariant: the token and the trust bundle are read from their files for
 * every request (Kubernetes rotates both), and the token is sent only to a server that has the CA's SPIFFE ID.
 */
import { create } from '@bufbuild/protobuf';
import {
  type CsrSigner,
  formatSpiffeId,
  type SignedCertificate,
  type SigningRequest,
  type TrustBundle,
  workloadId,
} from '@chainmail/pki';
import { type Clock, system, UserError } from '@chainmail/runtime';
import { Client, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  type IstioCertificateRequest,
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
  IstioCertificateService,
} from '../gen/istio/v1/auth/ca_pb.js';
import { parseBundle, readBundleFile, readSmallFile } from './bundle-file.ts';
import { serviceDefinition } from './service-definition.ts';
import { meshChannelOptions, spiffeChannelCredentials } from './spiffe-credentials.ts';

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

const maxResponseBytes = 512 * 1024;
const service = serviceDefinition(IstioCertificateService);

function readBundle({ trustBundle, trustDomain }: CaSignerOptions): TrustBundle | Promise<TrustBundle> {
  return 'pem' in trustBundle
    ? parseBundle(trustBundle.pem, trustDomain)
    : readBundleFile(trustBundle.path, trustDomain);
}

function refusal(error: ServiceError, address: string): UserError {
  const text = `the CA at ${address}: ${error.details} (${status[error.code] ?? error.code})`;
  switch (error.code) {
    case status.UNAVAILABLE:
    case status.DEADLINE_EXCEEDED:
      return new UserError('CA_UNREACHABLE', text, { hint: 'check the address, the network and the trust bundle' });
    default:
      return new UserError('CA_REFUSED', text, { hint: "the CA's audit log has the reason" });
  }
}

function call(client: Client, request: IstioCertificateRequest, metadata: Metadata, deadlineMs: number) {
  const { path, requestSerialize, responseDeserialize } = service.createCertificate;
  return new Promise<IstioCertificateResponse>((resolve, reject) => {
    const options = { deadline: new Date(Date.now() + deadlineMs) }; // grpc-js counts in wall-clock time itself
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      options,
      (error, answer) => {
        if (error === null && answer !== undefined) resolve(answer);
        else reject(error ?? new Error('the CA sent no answer'));
      },
    );
  });
}

function connect(options: CaSignerOptions, bundle: TrustBundle): Client {
  const { address, trustDomain, clock } = options;
  const ca = formatSpiffeId(workloadId(trustDomain, system.namespace, system.caServiceAccount));
  const credentials = spiffeChannelCredentials({
    bundles: () => [bundle],
    expected: [options.caId ?? ca],
    ...(clock === undefined ? {} : { clock }),
  });
  return new Client(address, credentials, {
    ...meshChannelOptions(`${system.caServiceAccount}.${system.namespace}.svc`),
    'grpc.max_receive_message_length': maxResponseBytes,
    'grpc.enable_retries': 0, // WorkloadIdentity backs off; two layers of retries would multiply
  });
}

/**
 * A connection lives for one request: renewals are hours apart, and an idle HTTP/2 session costs memory in every pod.
 * Rejections are UserErrors: CA_TOKEN_UNREADABLE, CA_BUNDLE_UNREADABLE, CA_BUNDLE_INVALID, CA_UNREACHABLE, CA_REFUSED.
 */
export function createCaSigner(options: CaSignerOptions): CsrSigner {
  const { address, deadlineMs = 10_000 } = options;
  return {
    async sign({ csrPem, ttlSeconds = 0 }: SigningRequest): Promise<SignedCertificate> {
      const token = await readSmallFile(options.tokenPath, 'CA_TOKEN_UNREADABLE', 'service-account token');
      const client = connect(options, await readBundle(options));
      try {
        const metadata = new Metadata();
        metadata.set('authorization', `Bearer ${token}`);
        const request = create(IstioCertificateRequestSchema, { csr: csrPem, validityDuration: BigInt(ttlSeconds) });
        const answer = await call(client, request, metadata, deadlineMs);
        return {
          chainPem: answer.certChain,
          trustAnchorsPem: answer.trustAnchors,
          bundleSequence: Number(answer.bundleSequence),
        };
      } catch (error) {
        throw error instanceof Error && 'code' in error && 'details' in error
          ? refusal(error as ServiceError, address)
          : error;
      } finally {
        client.close();
      }
    },
  };
}
