/**
 * Network namespaces of the node and of pods. Every pod has a /32 and a /128 of its own and reaches everything,
 * other pods too, through the node, so that the node's translation of Service addresses sees both directions.
 */
import fs from 'node:fs';
import path from 'node:path';
import { addressPlan } from './address-plan.ts';
import { run, tryRun } from './command.ts';

export const bridgeName = 'cm0';

const ipv6Conf = '/proc/sys/net/ipv6/conf';

/**
 * Duplicate address detection holds link-local addresses back for a second or two, and neighbour discovery with
 * them: first connections over IPv6 would stall. Nobody else gives out addresses here.
 */
const nodeSettings = ['all', 'default'].map((scope) => `${ipv6Conf}/${scope}/accept_dad`);

/**
 * The same in a pod, and no ICMP redirects: the node forwards between pods on one bridge, tells the sender of the
 * shorter way, and connections to Service addresses, which only the node translates, would take it.
 */
const podSettings = ['all', 'default', 'eth0'].flatMap((scope) => [
  `${ipv6Conf}/${scope}/accept_dad`,
  `${ipv6Conf}/${scope}/accept_redirects`,
  `/proc/sys/net/ipv4/conf/${scope}/accept_redirects`,
]);

/** Makes the bridge and turns the namespace this process is in into a router between pods. */
export async function prepareNode(): Promise<void> {
  for (const file of nodeSettings) fs.writeFileSync(file, '0');
  const { nodeV4, nodeV6 } = addressPlan;
  const batch = [
    'link set lo up',
    `link add ${bridgeName} type bridge stp_state 0 forward_delay 0`,
    `addr add ${nodeV4}/32 dev ${bridgeName}`,
    `addr add ${nodeV6}/128 dev ${bridgeName} nodad`,
    `link set ${bridgeName} up`,
  ];
  await run('ip', ['-batch', '-'], `${batch.join('\n')}\n`);
  const settings: Readonly<Record<string, string>> = {
    'net/ipv4/ip_forward': '1',
    'net/ipv6/conf/all/forwarding': '1',
    [`net/ipv4/conf/${bridgeName}/send_redirects`]: '0',
    'net/ipv4/conf/all/send_redirects': '0',
    'net/ipv4/ping_group_range': '0 2147483647',
  };
  for (const [name, value] of Object.entries(settings)) {
    try {
      fs.writeFileSync(`/proc/sys/${name}`, value);
    } catch (error) {
      if (!name.includes('ping_group_range')) throw error;
    }
  }
  for (const name of ['bridge-nf-call-iptables', 'bridge-nf-call-ip6tables']) {
    const file = `/proc/sys/net/bridge/${name}`;
    if (fs.existsSync(file)) fs.writeFileSync(file, '0'); // routed packets pass the rules once, not twice
  }
}

export interface PodLink {
  /** Path of the namespace, for nsenter. */
  readonly netns: string;
  readonly interfaceName: string;
}

/** id: up to 11 characters that no other pod has. */
export async function addPodLink(dir: string, id: string, v4: string, v6: string): Promise<PodLink> {
  const { nodeV4, nodeV6 } = addressPlan;
  const netns = path.join(dir, id);
  const interfaceName = `veth${id}`.slice(0, 15);
  fs.writeFileSync(netns, '', { mode: 0o600 });
  await run('unshare', [`--net=${netns}`, '--', 'true']);
  const node = [
    `link add ${interfaceName} type veth peer name eth0 netns ${netns}`,
    `link set ${interfaceName} master ${bridgeName} up`,
    `route add ${v4}/32 dev ${bridgeName}`,
    `route add ${v6}/128 dev ${bridgeName}`,
  ];
  await run('ip', ['-batch', '-'], `${node.join('\n')}\n`);
  const inside = [
    'link set lo up',
    `addr add ${v4}/32 dev eth0`,
    `addr add ${v6}/128 dev eth0 nodad`,
    'link set eth0 up',
    `route add ${nodeV4}/32 dev eth0 scope link`,
    `route add default via ${nodeV4} dev eth0 src ${v4}`,
    `route add ${nodeV6}/128 dev eth0`,
    `route add default via ${nodeV6} dev eth0 src ${v6}`,
  ];
  const quiet = podSettings.map((file) => `echo 0 > ${file}; `).join('');
  const enter = [`--net=${netns}`, '--', '/bin/sh', '-c', `${quiet}exec ip -batch -`];
  await run('nsenter', enter, `${inside.join('\n')}\n`);
  return { netns, interfaceName };
}

export async function removePodLink(link: PodLink, v4: string, v6: string): Promise<void> {
  await tryRun('ip', ['link', 'del', link.interfaceName]);
  await tryRun('ip', ['route', 'del', `${v4}/32`]);
  await tryRun('ip', ['-6', 'route', 'del', `${v6}/128`]);
  await tryRun('umount', [link.netns]);
  fs.rmSync(link.netns, { force: true });
}
