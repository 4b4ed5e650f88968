/**
 * The probes and lifecycle calls of an application that the injector moved onto the agent's health port: the JSON
 * in CHAINMAIL_APP_PROBES, keyed by the exact path the kubelet asks for.
 * Invariant: what parses is complete and bounded, so the agent serves it without further checks.
 */
import { UserError } from './errors.ts';
import { appProbePrefix } from './well-known.ts';

export interface ProbeHeader {
  readonly name: string;
  readonly value: string;
}

export interface HttpAppProbe {
  readonly kind: 'httpGet';
  readonly scheme: 'HTTP' | 'HTTPS';
  readonly port: number;
  readonly path: string;
  readonly headers: readonly ProbeHeader[];
  readonly timeoutMs: number;
}

/** The port is always a number: the injector resolves names. An HTTPS probe is made without verification. */
export type AppProbe =
  | HttpAppProbe
  | { readonly kind: 'tcpSocket'; readonly port: number; readonly timeoutMs: number }
  | { readonly kind: 'grpc'; readonly port: number; readonly service: string; readonly timeoutMs: number };

/** Path on the health port -> what to do to the application. */
export type AppProbes = Readonly<Record<string, AppProbe>>;

const maxTextBytes = 256 * 1024;
const maxHeaders = 64;
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** What no header value or request target may hold: it would end the line. */
const lineBreaking = /[\r\n\0]/;

export function formatAppProbes(probes: AppProbes): string {
  return JSON.stringify(probes);
}

/** @throws UserError APP_PROBES_INVALID, naming the path and the field. */
export function parseAppProbes(text: string): AppProbes {
  if (text.length > maxTextBytes) throw invalid('', `is larger than ${maxTextBytes} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid('', 'is not JSON', cause);
  }
  return Object.fromEntries(Object.entries(objectAt(value, '')).map(([path, v]) => [checkedKey(path), probe(v, path)]));
}

function invalid(at: string, what: string, cause?: unknown): UserError {
  return new UserError('APP_PROBES_INVALID', `app probes${at === '' ? '' : ` ${at}`}: ${what}`, { cause });
}

function checkedKey(path: string): string {
  const rest = path.startsWith(appProbePrefix) ? path.slice(appProbePrefix.length) : '';
  if (!/^[a-z0-9-]+\/[a-z]+$/.test(rest)) throw invalid(path, `must be ${appProbePrefix}<container>/<probe>`);
  return path;
}

function probe(value: unknown, at: string): AppProbe {
  const o = objectAt(value, at);
  const port = integer(o['port'], 65535, `${at}.port`);
  const timeoutMs = integer(o['timeoutMs'], 3_600_000, `${at}.timeoutMs`);
  switch (o['kind']) {
    case 'httpGet':
      return httpProbe(o, port, timeoutMs, at);
    case 'tcpSocket':
      return { kind: 'tcpSocket', port, timeoutMs };
    case 'grpc':
      return { kind: 'grpc', port, timeoutMs, service: line(o['service'], `${at}.service`) };
    default:
      throw invalid(`${at}.kind`, 'must be httpGet, tcpSocket or grpc');
  }
}

function httpProbe(o: Readonly<Record<string, unknown>>, port: number, timeoutMs: number, at: string): HttpAppProbe {
  const { scheme, headers } = o;
  if (scheme !== 'HTTP' && scheme !== 'HTTPS') throw invalid(`${at}.scheme`, 'must be HTTP or HTTPS');
  if (!Array.isArray(headers) || headers.length > maxHeaders) {
    throw invalid(`${at}.headers`, `must be a list of at most ${maxHeaders}`);
  }
  return {
    kind: 'httpGet',
    scheme,
    port,
    path: line(o['path'], `${at}.path`),
    headers: headers.map((h, i) => header(h, `${at}.headers[${i}]`)),
    timeoutMs,
  };
}

function header(value: unknown, at: string): ProbeHeader {
  const o = objectAt(value, at);
  const name = line(o['name'], `${at}.name`);
  if (!headerName.test(name)) throw invalid(`${at}.name`, 'is not a header name');
  return { name, value: line(o['value'], `${at}.value`) };
}

function objectAt(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(at, 'must be an object');
  return value as Record<string, unknown>;
}

function integer(value: unknown, max: number, at: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > max) {
    throw invalid(at, `must be a whole number from 1 to ${max}`);
  }
  return value;
}

function line(value: unknown, at: string): string {
  if (typeof value !== 'string' || lineBreaking.test(value)) throw invalid(at, 'must be one line of text');
  return value;
}
