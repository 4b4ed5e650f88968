/** Looks at what really goes over the bridge between pods: tcpdump in the node's network namespace. */
import { output } from './shop.ts';

export interface Capture {
  readonly packets: number;
  /** Packets whose payload reads as HTTP/1. */
  readonly plaintext: number;
  /** Packets that begin a TLS record. */
  readonly tls: number;
  readonly sample: string;
}

const http = /(?:GET|POST|PUT|DELETE|HEAD|PATCH|OPTIONS) \S+ HTTP\/1\.[01]|HTTP\/1\.[01] \d{3}/;

/** The bytes of one packet of `tcpdump -x`, without the IP and TCP headers' meaning: enough to search in. */
function payload(hexLines: readonly string[]): Buffer {
  return Buffer.from(hexLines.map((l) => l.replace(/^\s+0x[0-9a-f]+:\s+/, '').replaceAll(' ', '')).join(''), 'hex');
}

/** Reads tcpdump's `-x` output. */
export function readCapture(text: string): Capture {
  let plaintext = 0;
  let tls = 0;
  let sample = '';
  const packets = text.split(/\n(?=\S)/).filter((p) => /\bIP6?\b/.test(p));
  for (const packet of packets) {
    const [, ...hex] = packet.split('\n');
    const bytes = payload(hex.filter((l) => /^\s+0x/.test(l)));
    const found = http.exec(bytes.toString('latin1'));
    if (found !== null) {
      plaintext++;
      sample ||= found[0];
    }
    if (bytes.includes(Buffer.from([0x17, 0x03, 0x03])) || bytes.includes(Buffer.from([0x16, 0x03, 0x01]))) tls++;
  }
  return { packets: packets.length, plaintext, tls, sample };
}

async function addressesOf(node: string, bridge: string): Promise<readonly string[]> {
  const text = await output('nsenter', [`--net=/run/netns/${node}`, 'ip', '-j', 'address', 'show', bridge], 2000);
  const [link] = JSON.parse(text) as { readonly addr_info: readonly { readonly local: string }[] }[];
  return link?.addr_info.map((a) => a.local) ?? [];
}

/**
 * Captures TCP between pods for some seconds while something is done; traffic of the node itself (probes, the control
 * plane) is left out by its addresses.
 */
export async function capture(
  node: string,
  bridge: string,
  seconds: number,
  meanwhile: () => Promise<unknown>,
): Promise<Capture> {
  const own = await addressesOf(node, bridge);
  const filter = `tcp and greater 60 ${own.map((a) => `and not host ${a}`).join(' ')}`;
  const dump = output(
    'nsenter',
    [`--net=/run/netns/${node}`, 'tcpdump', '-i', bridge, '-nn', '-l', '-x', '-s', '1500', filter],
    seconds * 1000,
  );
  await new Promise((r) => setTimeout(r, 500)); // tcpdump needs a moment to open the interface
  await meanwhile();
  return readCapture(await dump);
}
