/** The record of a request or connection as a value, for tests of what is written about it. */
import type { LogRecord } from '../../http/request-view.ts';
import { connection, locateText, type RequestOptions, request } from '../../policy/testing/request.ts';

export interface RecordOptions extends Partial<Omit<LogRecord, 'request' | 'responseHeader'>> {
  readonly http?: RequestOptions | null;
  readonly responseHeaders?: Readonly<Record<string, string>>;
}

/** A plain successful GET unless said otherwise; http null is an opaque connection. */
export function record({ http = {}, responseHeaders = {}, ...of }: RecordOptions = {}): LogRecord {
  const view = http === null ? null : request(http);
  return {
    request: view,
    connection: view?.connection ?? connection(),
    startTimeMs: Date.UTC(2026, 10, 21, 8, 36, 2, 7),
    durationMs: 12,
    requestDurationMs: 1,
    responseDurationMs: 10,
    responseTxDurationMs: 2,
    status: 200,
    flags: '',
    details: 'via_upstream',
    bytesReceived: 0,
    bytesSent: 512,
    routeName: 'r',
    virtualHost: 'vh',
    virtualCluster: '',
    upstreamCluster: 'c',
    upstreamHost: '10.0.0.1:80',
    upstreamLocalAddress: '10.9.9.9:51000',
    upstreamPeerPrincipal: '',
    upstreamTlsVersion: '',
    upstreamFailure: '',
    attempts: 1,
    rewrittenFrom: '',
    ...of,
    responseHeader: (name) => responseHeaders[name] ?? null,
    locateResponse: ({ text }, into) => locateText(responseHeaders[text] ?? null, into),
  };
}
