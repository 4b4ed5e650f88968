/** One message there and one back, on a connection of its own. */
import { RpcFailure, rpcStatus } from '@chainmail/xds/rpc-status';
import type { GrpcEndpoint } from './connect.ts';
import { GrpcConnection } from './connection.ts';

export interface UnaryRequest {
  readonly path: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly message: Uint8Array;
  readonly deadlineMs: number;
  readonly maxResponseBytes: number;
}

/** Resolves with the message of the answer. @throws RpcFailure */
export async function unary(endpoint: GrpcEndpoint, request: UnaryRequest): Promise<Buffer> {
  const { message, maxResponseBytes: maxMessageBytes, deadlineMs } = request;
  const connection = new GrpcConnection(endpoint, { maxMessageBytes, keepalive: null, connectTimeoutMs: deadlineMs });
  try {
    return await oneAnswer(connection, request, message);
  } finally {
    connection.close();
  }
}

/** A unary call on a connection that stays. @throws RpcFailure */
export function oneAnswer(
  connection: GrpcConnection,
  request: Pick<UnaryRequest, 'path' | 'metadata' | 'deadlineMs'>,
  message: Uint8Array,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const answers: Buffer[] = [];
    const call = connection.call(request, {
      onMessage: (answer) => {
        answers.push(answer);
        if (answers.length > 1) call.cancel();
      },
      onClosed: (failure) => {
        const [answer] = answers;
        if (answers.length > 1) reject(new RpcFailure(rpcStatus.INTERNAL, 'more than one answer to a unary call'));
        else if (failure !== null) reject(failure);
        else if (answer === undefined) reject(new RpcFailure(rpcStatus.INTERNAL, 'no answer to a unary call'));
        else resolve(answer);
      },
    });
    call.send(message);
    call.end();
  });
}
