/**
 * grpc-go's own interoperability client and server, with proxies between them. Left out are the cases that need an
 * account at Google, and pick_first_unary, which wants a server that says its name.
 */
import type { GoTools } from './go-tools.ts';
import { runProgram } from './run-program.ts';
import { type Server, startServer } from './server.ts';
import type { Tally } from './tally.ts';

export const interopCases = [
  'empty_unary',
  'large_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'timeout_on_sleeping_server',
  'cancel_after_begin',
  'cancel_after_first_response',
  'status_code_and_message',
  'special_status_message',
  'custom_metadata',
  'unimplemented_method',
  'unimplemented_service',
  'orca_per_rpc',
  'rpc_soak',
  'channel_soak',
] as const;

const caseMs = 30_000;
const soak = ['--soak_iterations=50', '--soak_overall_timeout_seconds=20'];
const metrics = '{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}';
const more: Readonly<Record<string, readonly string[]>> = {
  rpc_soak: soak,
  channel_soak: soak,
  orca_per_rpc: [`--service_config_json=${metrics}`],
};

export const interopServer = (tools: GoTools): Promise<Server> =>
  startServer((port) => [tools['interop-server'], `--port=${port}`]);

/** What grpc-go says when a case fails; it exits with 0 only when everything was as the case wants it. */
export async function interopCase(tools: GoTools, port: number, name: string): Promise<string | null> {
  const command = [tools['interop-client'], '--server_host=127.0.0.1', `--server_port=${port}`, `--test_case=${name}`];
  const { code, output } = await runProgram([...command, ...(more[name] ?? [])], caseMs);
  return code === 0 ? null : output.trim().slice(-600);
}

export async function interop(tools: GoTools, port: number, tally: Tally): Promise<void> {
  for (const name of interopCases) tally.check(name, await interopCase(tools, port, name));
}
