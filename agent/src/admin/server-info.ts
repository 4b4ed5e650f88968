/** GET /server_info, as Envoy shows it. */
import type { Node } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import type { ServerState } from '../bootstrap/server-state.ts';
import { type AdminResponse, json } from './command.ts';
import { messageJson } from './dump-parts.ts';

export interface ServerInfoSources {
  readonly state: ServerState;
  readonly agentVersion: string;
  /** As envoy.admin.v3.CommandLineOptions. */
  readonly commandLine: Readonly<Record<string, unknown>>;
  /** What a control plane is told that we are. */
  readonly node: Node;
}

/** There is one epoch, since nothing restarts hot. */
export function serverInfo(sources: ServerInfoSources, nowMs: number): AdminResponse {
  const { state, agentVersion, commandLine, node } = sources;
  const uptime = `${Math.floor((nowMs - state.startedMs) / 1000)}s`;
  return json({
    version: agentVersion,
    state: state.phase,
    uptime_current_epoch: uptime,
    uptime_all_epochs: uptime,
    hot_restart_version: 'disabled',
    command_line_options: commandLine,
    node: messageJson(node, true),
    hot_restart_initializing: false,
  });
}
