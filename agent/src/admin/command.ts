/** What an admin command is, and the answers they share. */

export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface AdminCommand {
  readonly path: string;
  readonly help: string;
  /** Changes something: POST only, and in a pod over the unix socket only. */
  readonly mutates: boolean;
  run(query: URLSearchParams): AdminResponse | Promise<AdminResponse>;
}

export function text(body: string, status = 200): AdminResponse {
  return { status, contentType: 'text/plain; charset=UTF-8', body };
}

/** Indented by one blank, like Envoy's. */
export function json(value: unknown, status = 200): AdminResponse {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value, null, 1)}\n` };
}

/** Envoy's answer to a command that did what it was told. */
export const ok = text('OK\n');
