/** The CSR service over grpc-js: for the CA's other clients; the agent has a client of its own. */
import type { CsrSigner } from '@chainmail/pki';
import { Client, Metadata } from '@grpc/grpc-js';
import { type CaSignerOptions, createCsrSigner, type UnaryCall } from './csr-signer.ts';
import { RpcFailure, rpcStatus } from './rpc-status.ts';
import { meshChannelOptions, spiffeChannelCredentials } from './spiffe-credentials.ts';

function connect({ address, serverName, tls, maxResponseBytes }: UnaryCall): Client {
  return new Client(address, spiffeChannelCredentials(tls), {
    ...meshChannelOptions(serverName),
    'grpc.max_receive_message_length': maxResponseBytes,
    'grpc.enable_retries': 0, // WorkloadIdentity backs off; two layers of retries would multiply
  });
}

function metadataOf(fields: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  return metadata;
}

async function callUnary(call: UnaryCall): Promise<Uint8Array> {
  const client = connect(call);
  const asIs = (bytes: Buffer): Buffer => bytes;
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      const options = { deadline: new Date(Date.now() + call.deadlineMs) }; // grpc-js counts in wall-clock time itself
      const metadata = metadataOf(call.metadata);
      client.makeUnaryRequest(call.path, asIs, asIs, Buffer.from(call.message), metadata, options, (error, answer) => {
        if (error !== null) reject(new RpcFailure(error.code, error.details));
        else if (answer === undefined) reject(new RpcFailure(rpcStatus.INTERNAL, 'the CA sent no answer'));
        else resolve(answer);
      });
    });
  } finally {
    client.close();
  }
}

/** See createCsrSigner. */
export function createCaSigner(options: CaSignerOptions): CsrSigner {
  return createCsrSigner(options, callUnary);
}
