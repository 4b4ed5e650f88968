/** The command line of `chainmail-agent init`: what interception leaves alone. Refused by name before anything is applied. */
import { parseArgs } from 'node:util';
import { type CidrRange, messageOf, parseCidrList, parsePortList, reservedPorts, UserError } from '@chainmail/runtime';
import { parseResolvConf } from '../dns/resolv-conf.ts';

export interface InterceptionOptions {
  readonly excludeInboundPorts: readonly number[];
  readonly excludeOutboundPorts: readonly number[];
  readonly excludeOutboundCidrs: readonly CidrRange[];
  /** Resolvers whose port 53 goes to the agent; empty without DNS capture. */
  readonly resolvers: readonly string[];
}

export interface InitCommand {
  readonly options: InterceptionOptions;
  readonly help: boolean;
}

export const initUsage = `Usage: chainmail-agent init [options]
Programs this network namespace so that the agent takes over its TCP traffic, for IPv4 and IPv6.

  --exclude-inbound-ports A,B    ports whose inbound connections go straight to the application
  --exclude-outbound-ports A,B   ports to which outbound connections go out directly
  --exclude-outbound-cidrs A,B   networks to which outbound connections go out directly
  --capture-dns                  questions to the resolvers of /etc/resolv.conf go to the agent
  -h, --help                     this text
`;

export const cleanupUsage = `Usage: chainmail-agent cleanup
Takes everything that init programmed out of this network namespace.

  -h, --help   this text
`;

/**
 * readResolvConf: the text of /etc/resolv.conf, asked for with --capture-dns only.
 * @throws UserError USAGE, EXCLUSION_INVALID or RESOLVERS_MISSING, naming the flag and the entry
 */
export function parseInitCommand(args: readonly string[], readResolvConf: () => string): InitCommand {
  const values = parse(args);
  return {
    help: values.help ?? false,
    options: {
      excludeInboundPorts: inboundPorts(values['exclude-inbound-ports'] ?? ''),
      excludeOutboundPorts: parsePortList(values['exclude-outbound-ports'] ?? '', '--exclude-outbound-ports'),
      excludeOutboundCidrs: parseCidrList(values['exclude-outbound-cidrs'] ?? '', '--exclude-outbound-cidrs'),
      resolvers: values['capture-dns'] === true ? resolversOf(readResolvConf()) : [],
    },
  };
}

/** @throws UserError USAGE */
export function parseCleanupCommand(args: readonly string[]): { readonly help: boolean } {
  try {
    const { values } = parseArgs({ args: [...args], options: { help: { type: 'boolean', short: 'h' } } });
    return { help: values.help ?? false };
  } catch (error) {
    throw new UserError('USAGE', messageOf(error), { hint: cleanupUsage });
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        'exclude-inbound-ports': { type: 'string' },
        'exclude-outbound-ports': { type: 'string' },
        'exclude-outbound-cidrs': { type: 'string' },
        'capture-dns': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UserError('USAGE', messageOf(error), { hint: initUsage });
  }
}

/** Without one nothing would be captured, and nobody would know. */
function resolversOf(text: string): readonly string[] {
  const { resolvers } = parseResolvConf(text);
  if (resolvers.length > 0) return [...new Set(resolvers)];
  throw new UserError('RESOLVERS_MISSING', '--capture-dns: /etc/resolv.conf names no resolver', {
    hint: 'leave the flag (annotation chainmail.dev/capture-dns) out for pods that look no names up',
  });
}

/** An agent port that inbound interception passed by would be open to the network without policy. */
function inboundPorts(text: string): readonly number[] {
  const ports = parsePortList(text, '--exclude-inbound-ports');
  const own = ports.find((p) => p >= reservedPorts.first && p <= reservedPorts.last);
  if (own === undefined) return ports;
  throw new UserError('EXCLUSION_INVALID', `--exclude-inbound-ports: '${own}' is a port of the agent itself`, {
    hint: `ports ${reservedPorts.first}-${reservedPorts.last} are reserved for the agent`,
  });
}
