/** The running totals of one pair of identities over one transport: the raw material of `meshctl edges`. */

export interface Edge {
  readonly direction: 'inbound' | 'outbound';
  readonly local: string;
  readonly peer: string;
  readonly target: string;
  readonly tls: string;
  connections: number;
  active: number;
  requests: number;
  failures: number;
}
