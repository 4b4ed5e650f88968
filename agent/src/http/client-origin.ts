/**
 * Where a request comes from when more is configured than the peer's address and x-forwarded-for: detection by another
 * header, networks whose callers count as internal, the port and scheme they asked for. Compiled only where one of
 * these is set. Invariant: nobody is internal unless one single address says so and a configured network holds it.
 */
import { scheme as schemes } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';
import type { ClientOriginSpec, IpDetectionSpec } from '../model/http.ts';
import { type CidrMatch, compileCidr } from '../policy/cidr.ts';
import { isIP } from '../sys/ip-text.ts';
import { addressFromRight, claimedScheme } from './client-address.ts';
import type { Request } from './request.ts';

interface Detected {
  readonly ip: string;
  /** The address may make its request an internal one. */
  readonly trusted: boolean;
}

type Detection = Detected | { readonly rejectStatus: number } | null;

export class ClientOrigin {
  readonly #spec: ClientOriginSpec;
  readonly #internal: readonly CidrMatch[];

  /** @throws UserError CIDR_INVALID */
  constructor(spec: ClientOriginSpec) {
    this.#spec = spec;
    this.#internal = spec.internalRanges.map(compileCidr);
  }

  /** Whether the address that a header may hold is the only one there; to be asked before the peer's is appended. */
  isSingle(request: Request, useRemoteAddress: boolean): boolean {
    const values = request.head.getAll('x-forwarded-for').join(',');
    return useRemoteAddress ? values === '' : values !== '' && !values.includes(',');
  }

  /**
   * Settles remoteIp, `internal`, port and scheme, after the usual headers were looked at. The status with which a
   * request is refused whose client is not known, or 0.
   */
  settle(request: Request, single: boolean): number {
    const detected = this.#detect(request);
    if (detected !== null && 'rejectStatus' in detected) return detected.rejectStatus;
    if (detected !== null) request.remoteIp = detected.ip;
    const trusted = detected === null ? single : detected.trusted;
    request.internal = trusted && this.#internal.some((holds) => holds(request.remoteIp));
    this.#settlePort(request);
    const { scheme } = this.#spec;
    if (scheme !== null) {
      request.head.set('x-forwarded-proto', scheme);
      request.scheme = claimedScheme(request);
      if (request.head.scheme !== 0) request.head.scheme = schemes[request.scheme];
    }
    return 0;
  }

  #detect(request: Request): Detection {
    for (const spec of this.#spec.detection) {
      const detected = detect(request, spec);
      if (detected !== null) return detected;
    }
    return null;
  }

  #settlePort(request: Request): void {
    const { forwardedPort } = this.#spec;
    if (forwardedPort === 'off') return;
    const { head } = request;
    if (forwardedPort === 'if-absent' && (head.get('x-forwarded-port') ?? '') !== '') return;
    head.set('x-forwarded-port', String(request.connection.localPort));
  }
}

function detect(request: Request, spec: IpDetectionSpec): Detection {
  switch (spec.kind) {
    case 'xff': {
      const ip = request.head.has(token['x-forwarded-for']) ? addressFromRight(request, spec.hops + 1) : null;
      return ip === null ? null : { ip, trusted: request.head.get('x-forwarded-for')?.includes(',') === false };
    }
    case 'custom_header': {
      const text = request.head.get(spec.name)?.trim() ?? '';
      if (isIP(text)) return { ip: text, trusted: spec.trusted };
      return spec.rejectStatus === 0 ? null : { rejectStatus: spec.rejectStatus };
    }
  }
}
