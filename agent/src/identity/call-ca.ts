/** The call to the CA on the agent's own gRPC client. */
import { type CallUnary, spiffeConnection } from '@chainmail/xds/rpc';
import { unary } from '../grpc/call-unary.ts';

export const callCa: CallUnary = ({ address, serverName, tls, ...request }) =>
  unary({ address, serverName, tls: () => spiffeConnection(tls) }, request);
