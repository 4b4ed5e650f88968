/** The overload manager, as far as it bounds downstream connections; every other monitor and action is refused. */
import type { OverloadManager, ResourceMonitor } from '@chainmail/xds/proto/envoy/config/overload/v3/overload';
import type { DownstreamConnectionsConfig } from '@chainmail/xds/proto/envoy/extensions/resource_monitors/downstream_connections/v3/downstream_connections';
import { extension, type MessageReader } from './message-reader.ts';

/** The limit over all listeners and workers. */
export function readOverload(r: MessageReader<OverloadManager>): number {
  const [limit, ...more] = r.each('resourceMonitors', readMonitor);
  if (limit === undefined || more.length > 0) {
    throw r.unsupported('resourceMonitors', 'exactly one, of downstream connections, is implemented');
  }
  return limit;
}

function readMonitor(r: MessageReader<ResourceMonitor>): number {
  r.take('name'); // a label; the type of the configuration decides
  const config = r.take('configType');
  if (config.case !== 'typedConfig') throw r.invalid('typedConfig', 'is required');
  return r.extension('typedConfig', config.value, [
    extension<DownstreamConnectionsConfig, number>(
      'envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
      (d) => {
        const limit = Number(d.take('maxActiveDownstreamConnections'));
        if (limit <= 0 || limit > 2 ** 31 - 1)
          throw d.invalid('maxActiveDownstreamConnections', 'must be in 1..2147483647');
        return limit;
      },
    ),
  ]);
}
