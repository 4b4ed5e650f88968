/** Requests and connections as values, for tests of what reads them. */
import type { ByteRange, RequestView } from '../../http/request-view.ts';
import { nobody } from '../../net/nobody.ts';
import type { ConnectionInfo } from '../../net/stream.ts';

export function connection(of: Partial<ConnectionInfo> = {}): ConnectionInfo {
  return { ...nobody, remoteIp: '10.1.2.3', remotePort: 40_000, localIp: '10.9.9.9', localPort: 8080, ...of };
}

/** A connection of a verified peer. */
export function meshConnection(principal: string, of: Partial<ConnectionInfo> = {}): ConnectionInfo {
  return connection({ peerPrincipal: principal, tlsVersion: 'TLSv1.3', ...of });
}

export interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly scheme?: 'http' | 'https';
  /** Names in lower case, repeated ones as several pairs. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly connection?: ConnectionInfo;
  readonly remoteIp?: string;
}

/** A value as the bytes that a parser would have left it in. */
export function locateText(text: string | null, into: ByteRange): boolean {
  if (text === null) return false;
  into.bytes = Buffer.from(`: ${text}\r\n`, 'latin1');
  into.start = 2;
  into.end = 2 + text.length;
  return true;
}

export function request(of: RequestOptions = {}): RequestView {
  const { method = 'GET', path = '/', authority = 'a.test', scheme = 'http', headers = [] } = of;
  const info = of.connection ?? connection();
  const pseudo: Readonly<Record<string, string>> = {
    ':method': method,
    ':path': path,
    ':authority': authority,
    ':scheme': scheme,
  };
  const all = (name: string): readonly string[] => headers.filter(([n]) => n === name).map(([, value]) => value);
  return {
    connection: info,
    method,
    path,
    pathOnly: path.split('?')[0] ?? '',
    authority,
    scheme,
    protocol: 'HTTP/1.1',
    remoteIp: of.remoteIp ?? info.remoteIp,
    header: (name) => pseudo[name] ?? all(name)[0] ?? null,
    locate: ({ text }, into) => locateText(pseudo[text] ?? all(text)[0] ?? null, into),
    locatePath: (into) => locateText(path.split('?')[0] ?? '', into),
    headers: all,
    isGrpc: /^application\/grpc(\+.*)?$/.test(all('content-type')[0] ?? ''),
  };
}
