/** What a client is told when no attempt at an upstream is left. */
import type { Exchange } from './exchange.ts';
import { relayHeaders } from './relayed-failure.ts';
import { failureBody, failureDetails, type UpstreamFailure, upstreamFailures } from './upstream-failure.ts';

const overloaded = [['x-envoy-overloaded', 'true']] as const;

/** detail: what the connection says; retried: there were attempts before. */
export function replyToFailure(x: Exchange, failure: UpstreamFailure, detail: string, retried: boolean): void {
  const { flag, status } = upstreamFailures[failure];
  const headers = failure === 'overflow' ? overloaded : toldToPeer(x, failure);
  x.reply({ status, body: failureBody(failure, retried), headers }, flag, failureDetails(failure, false, detail));
}

/** An agent that asks for a mesh peer hears whose failure it was. */
function toldToPeer(x: Exchange, failure: UpstreamFailure): ReturnType<typeof relayHeaders> {
  const { manager, downstream } = x;
  const meshed = manager.context.direction === 'inbound' && downstream.info.peerPrincipal !== '';
  return meshed ? relayHeaders(failure) : [];
}
