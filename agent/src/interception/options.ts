/** The command line of `chainmail-agent init`: what interception leaves alone. Refused by name before anything is applied. */
import { parseArgs } from 'node:util';
import { type CidrRange, messageOf, parseCidrList, parsePortList, reservedPorts, UserError } from '@chainmail/runtime';

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
  -h, --help                     this text
`;

export const cleanupUsage = `Usage: chainmail-agent cleanup
Takes everything that init programmed out of this network namespace.

  -h, --help   this text
`;

/** @throws UserError USAGE or EXCLUSION_INVALID, naming the flag and the entry */
export function parseInitCommand(args: readonly string[]): InitCommand {
  const values = parse(args);
  return {
    help: values.help ?? false,
    options: {
      excludeInboundPorts: inboundPorts(values['exclude-inbound-ports'] ?? ''),
      excludeOutboundPorts: parsePortList(values['exclude-outbound-ports'] ?? '', '--exclude-outbound-ports'),
      excludeOutboundCidrs: parseCidrList(values['exclude-outbound-cidrs'] ?? '', '--exclude-outbound-cidrs'),
      resolvers: [],
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
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UserError('USAGE', messageOf(error), { hint: initUsage });
  }
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
