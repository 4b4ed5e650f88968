/** The command line as GET /server_info shows it: every field of Envoy's CommandLineOptions. */
import os from 'node:os';
import type { ServeOptions } from './options.ts';

/** Flags without effect are shown as they were given, so that one can see what started the process. */
export function commandLine(options: ServeOptions): Readonly<Record<string, unknown>> {
  const text = (flag: string, byDefault = ''): string => String(options.withoutEffect[flag] ?? byDefault);
  const isSet = (flag: string): boolean => options.withoutEffect[flag] === true;
  const level = options.logLevel ?? 'info';
  return {
    base_id: text('base-id', '0'),
    use_dynamic_base_id: isSet('use-dynamic-base-id'),
    skip_hot_restart_on_no_parent: isSet('skip-hot-restart-on-no-parent'),
    skip_hot_restart_parent_stats: isSet('skip-hot-restart-parent-stats'),
    base_id_path: text('base-id-path'),
    concurrency: options.concurrency || os.availableParallelism(),
    config_path: options.configPath ?? '',
    // It may hold keys.
    config_yaml: options.configYaml === null ? '' : '[redacted]',
    allow_unknown_static_fields: isSet('allow-unknown-static-fields') || isSet('allow-unknown-fields'),
    reject_unknown_dynamic_fields: isSet('reject-unknown-dynamic-fields'),
    ignore_unknown_dynamic_fields: isSet('ignore-unknown-dynamic-fields'),
    skip_deprecated_logs: isSet('skip-deprecated-logs'),
    admin_address_path: options.adminAddressPath ?? '',
    local_address_ip_version: text('local-address-ip-version', 'v4'),
    log_level: level === 'warn' ? 'warning' : level,
    component_log_level: text('component-log-level'),
    log_format: text('log-format'),
    log_format_escaped: isSet('log-format-escaped'),
    log_path: options.logPath ?? '',
    service_cluster: options.serviceCluster,
    service_node: options.serviceNode,
    service_zone: options.serviceZone,
    file_flush_interval: `${Number(text('file-flush-interval-msec', '10000')) / 1000}s`,
    file_flush_min_size: Number(text('file-flush-min-size-kb', '0')),
    drain_time: `${options.drainTimeS}s`,
    drain_strategy: text('drain-strategy', 'immediate').toLowerCase() === 'gradual' ? 'Gradual' : 'Immediate',
    parent_shutdown_time: `${text('parent-shutdown-time-s', '900')}s`,
    mode: options.mode === 'serve' ? 'Serve' : 'Validate',
    disable_hot_restart: isSet('disable-hot-restart'),
    enable_mutex_tracing: isSet('enable-mutex-tracing'),
    restart_epoch: Number(text('restart-epoch', '0')),
    cpuset_threads: isSet('cpuset-threads'),
    disabled_extensions: [],
    enable_fine_grain_logging: isSet('enable-fine-grain-logging'),
    socket_path: text('socket-path', '@envoy_domain_socket'),
    socket_mode: Number.parseInt(text('socket-mode', '0'), 8),
    enable_core_dump: isSet('enable-core-dump'),
    stats_tag: [],
    log_stacktrace_single_entry: false,
  };
}
