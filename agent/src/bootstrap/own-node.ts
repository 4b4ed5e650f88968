/** Who the agent says that it is, to the control plane and over the admin interface. */
import { clientFeatures } from '@chainmail/runtime';
import type { Node } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import { agentVersion } from './version.ts';

/** The node of the bootstrap, with who we are in place of what it says about that. */
export function ownNode(node: Node | undefined): Node {
  const version = agentVersion.split(' ')[1] ?? '';
  const self: Partial<Node> = {
    userAgentName: 'chainmail-agent',
    userAgentVersionType: { case: 'userAgentVersion', value: version },
    // The server must not wait for an Envoy's features.
    clientFeatures: [clientFeatures.http2],
  };
  const given: Partial<Node> = node ?? { $typeName: 'envoy.config.core.v3.Node' };
  return { ...given, ...self } as Node;
}
