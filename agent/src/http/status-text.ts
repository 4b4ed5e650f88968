/** Reason phrases as Envoy writes them. */
import http from 'node:http';

const own: Readonly<Record<number, string>> = {
  302: 'Found',
  413: 'Payload Too Large',
  418: 'Unknown',
  422: 'Unprocessable Entity',
  509: 'Unassigned',
  599: 'Last Unassigned Server Error Code',
};

export function statusText(status: number): string {
  return own[status] ?? http.STATUS_CODES[status] ?? 'Unknown';
}
