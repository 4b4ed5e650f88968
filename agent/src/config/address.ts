/** Addresses and networks: IP sockets only; a pipe or an internal address is refused. */
import type { Address, CidrRange, SocketAddress } from '@chainmail/xds/proto/envoy/config/core/v3/address';
import type { AddressSpec } from '../model/listener.ts';
import { isIP, isIPv4, isIPv6 } from '../sys/ip-text.ts';
import type { MessageReader } from './message-reader.ts';

/** host is an IP address or, where the cluster resolves names, a DNS name. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export function readHostPort(r: MessageReader<Address>): HostPort {
  const address = r.take('address');
  if (address.case !== 'socketAddress') throw r.unsupported(address.case ?? 'address');
  return r.within(address.case, address.value, readSocketAddress);
}

export function readSocketAddress(r: MessageReader<SocketAddress>): HostPort {
  r.only('protocol', 0);
  const port = r.take('portSpecifier');
  if (port.case === 'namedPort') throw r.unsupported('namedPort');
  return { host: r.take('address'), port: port.value ?? 0 };
}

/** @throws FieldError when it is a name and not an address. */
export function readIpAddress(r: MessageReader<Address>): AddressSpec {
  const { host, port } = readHostPort(r);
  if (!isIP(host)) throw r.invalid('', `malformed IP address: ${host}`);
  return { ip: canonicalIp(host), port };
}

/** IPv6 in its shortest form, so that equal addresses have equal text. */
export function canonicalIp(ip: string): string {
  if (!isIPv6(ip)) return ip;
  try {
    return new URL(`http://[${ip}]/`).hostname.slice(1, -1);
  } catch {
    return ip;
  }
}

/** `ip:port`, with brackets around IPv6. */
export function addressText({ ip, port }: AddressSpec): string {
  return isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** As `ip/len`; an absent prefix_len is 0, as in Envoy. */
export function readCidr(r: MessageReader<CidrRange>): string {
  const ip = r.take('addressPrefix');
  const length = r.take('prefixLen') ?? 0;
  if (!isIP(ip)) throw r.invalid('addressPrefix', `malformed IP address: ${ip}`);
  if (length > (isIPv4(ip) ? 32 : 128)) throw r.invalid('prefixLen', `${length} is too long for ${ip}`);
  return `${canonicalIp(ip)}/${length}`;
}
