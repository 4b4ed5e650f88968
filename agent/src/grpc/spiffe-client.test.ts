import { spiffeClientContract } from '@chainmail/xds/contracts';
import { spiffeConnection } from '@chainmail/xds/rpc';
import { oneAnswer } from './call-unary.ts';
import { GrpcConnection } from './connection.ts';

const limits = { maxMessageBytes: 4096, keepalive: null };

spiffeClientContract((address, serverName, tls) => {
  const connection = new GrpcConnection({ address, serverName, tls: () => spiffeConnection(tls) }, limits);
  return {
    call: (path, message) => oneAnswer(connection, { path, deadlineMs: 10_000 }, message),
    close: () => connection.close(),
  };
});
