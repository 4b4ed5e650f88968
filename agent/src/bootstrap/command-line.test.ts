import test from 'ava';
import { commandLine } from './command-line.ts';
import { parseCommand } from './options.ts';

function shown(...args: string[]) {
  const command = parseCommand(args);
  if (command.kind !== 'serve') throw new Error(command.kind);
  return commandLine(command.options);
}

test('defaults are those of Envoy, apart from draining, which is immediate', (t) => {
  t.like(shown('-c', 'f', '--concurrency', '2'), {
    ...{ base_id: '0', concurrency: 2, config_path: 'f', config_yaml: '', log_level: 'info', mode: 'Serve' },
    ...{ drain_time: '600s', drain_strategy: 'Immediate', parent_shutdown_time: '900s', file_flush_interval: '10s' },
    ...{ disable_hot_restart: false, socket_path: '@envoy_domain_socket', socket_mode: 0, restart_epoch: 0 },
  });
});

test('what was given is shown, with or without effect; a configuration in text is not, for it may hold keys', (t) => {
  const given = ['--base-id', '7', '--disable-hot-restart', '--file-flush-interval-msec', '500', '-l', 'warn'];
  const more = ['--socket-mode', '600', '--config-yaml', 'node: {id: secret}', '--service-zone', 'z'];
  t.like(shown('-c', 'f', ...given, ...more), {
    ...{ base_id: '7', disable_hot_restart: true, file_flush_interval: '0.5s', log_level: 'warning' },
    ...{ socket_mode: 0o600, config_yaml: '[redacted]', service_zone: 'z' },
  });
});
