/** The CSR service on gRPC over TLS 1.3: bounds, status codes, nothing else. */
import { create } from '@bufbuild/protobuf';
import { type WorkloadIdentity, writePem } from '@chainmail/pki';
import { UserError } from '@chainmail/runtime';
import { serviceDefinition, spiffeServerCredentials } from '@chainmail/xds/grpc';
import {
  type IstioCertificateRequest,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
  IstioCertificateService,
} from '@chainmail/xds/proto/istio/v1/auth/ca';
import { Server, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import type { RefusalCode } from './audit.ts';
import type { Issued } from './authority.ts';
import type { CsrOutcome, CsrService } from './csr-service.ts';

type Call = ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>;
type Done = sendUnaryData<IstioCertificateResponse>;

const statusOf = {
  'rate-limited': status.RESOURCE_EXHAUSTED,
  unauthenticated: status.UNAUTHENTICATED,
  'not-live': status.PERMISSION_DENIED,
  'bad-request': status.INVALID_ARGUMENT,
  'bad-ttl': status.INVALID_ARGUMENT,
  internal: status.INTERNAL,
} as const satisfies Record<RefusalCode, status>;

const limits = {
  // A request is a CSR of at most 8 KiB; the token travels in a header.
  'grpc.max_receive_message_length': 64 * 1024,
  'grpc.max_concurrent_streams': 16,
  'grpc.max_connection_idle_ms': 60_000,
  'grpc.max_connection_age_ms': 600_000,
  'grpc.max_connection_age_grace_ms': 10_000,
} as const;

function toResponse({ chainPem, bundle }: Issued): IstioCertificateResponse {
  return create(IstioCertificateResponseSchema, {
    certChain: [...chainPem],
    trustAnchors: bundle.anchors.map((a) => writePem('CERTIFICATE', a.fields.der)),
    bundleSequence: BigInt(bundle.sequence),
  });
}

function reply(outcome: CsrOutcome, done: Done): void {
  if (outcome.ok) done(null, toResponse(outcome.issued));
  else done({ code: statusOf[outcome.code], details: outcome.reason });
}

export interface RunningServer {
  /** host:port in use. */
  readonly address: string;
  close(): Promise<void>;
}

function bind(server: Server, address: string, credentials: Parameters<Server['bindAsync']>[1]): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(new UserError('CA_LISTEN', `cannot listen on ${address}: ${error.message}`));
    });
  });
}

/** Listens on host:port with the identity's newest certificate. @throws UserError CA_LISTEN */
export async function startGrpcServer(
  address: string,
  service: CsrService,
  identity: WorkloadIdentity,
): Promise<RunningServer> {
  const server = new Server(limits);
  server.addService(serviceDefinition(IstioCertificateService), {
    createCertificate(call: Call, done: Done) {
      const authorization = call.metadata.get('authorization').map(String);
      const { csr: csrPem, validityDuration: ttlSeconds } = call.request;
      const request = { csrPem, ttlSeconds, authorization, peer: call.getPeer() };
      void service.handle(request).then((outcome) => reply(outcome, done));
    },
  });
  const credentials = spiffeServerCredentials({ identity, clients: 'without-certificate' });
  const port = await bind(server, address, credentials);
  return {
    address: `${address.slice(0, address.lastIndexOf(':'))}:${port}`,
    close: () =>
      new Promise((resolve) => {
        const force = setTimeout(() => server.forceShutdown(), 2000);
        server.tryShutdown(() => {
          clearTimeout(force);
          credentials.close();
          resolve();
        });
      }),
  };
}
