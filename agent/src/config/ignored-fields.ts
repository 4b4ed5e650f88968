/**
 * Fields that may be set though the agent does nothing with them, with the reason why that is harmless. Whatever
 * changes how traffic is treated, or who may do what, never stands here.
 */
type Reasons = Readonly<Record<string, string>>;

const informational = 'describes, and changes no traffic';
const extensionName = 'a label; the type of the configuration decides';

export const ignoredFields: Readonly<Record<string, Reasons>> = {
  'envoy.config.core.v3.Node': {
    metadata: 'passed to the control plane as it is',
    dynamic_parameters: 'passed to the control plane as it is',
    user_agent_name: 'replaced by our own',
    user_agent_version: 'replaced by our own',
    user_agent_build_version: 'replaced by our own',
    extensions: 'passed to the control plane as it is',
    client_features: 'replaced by our own',
    listening_addresses: 'passed to the control plane as it is',
  },
  'envoy.config.core.v3.SocketAddress': { ipv4_compat: 'IPv6 sockets are always IPv6 only, and IPv4 has its own' },
  'envoy.config.core.v3.TypedExtensionConfig': { name: extensionName },
  'envoy.config.core.v3.TransportSocket': { name: extensionName },
  'envoy.config.core.v3.ApiConfigSource': {
    set_node_on_first_message_only: 'the node is sent with the first message of a stream only, always',
    request_timeout: 'for REST only',
    refresh_delay: 'for REST only',
  },
  'envoy.config.core.v3.GrpcService': { timeout: 'a discovery stream has no timeout' },
  'envoy.config.core.v3.GrpcService.EnvoyGrpc': { authority: 'the name is for SNI only; the SPIFFE ID is checked' },
  'envoy.config.bootstrap.v3.Bootstrap': {
    stats_flush_interval: 'there are no stats sinks to flush to',
    watchdog: 'the container restarts a process that hangs',
    watchdogs: 'the container restarts a process that hangs',
    flags_path: 'unused by Envoy too, but for runtime flags',
    enable_dispatcher_stats: 'adds statistics of an event loop we do not have',
    deferred_stat_options: 'statistics take no memory until used, always',
    grpc_async_client_manager_config: 'sizes a cache we do not have',
    memory_allocator_manager: 'sizes an allocator we do not have',
    perf_tracing_file_path: 'a debugging aid of Envoy builds',
  },
  'envoy.config.bootstrap.v3.Admin': {
    profile_path: 'a debugging aid of Envoy builds',
    ignore_global_conn_limit: 'the limit is for downstream connections; the admin listener never counts',
  },
  'envoy.config.listener.v3.Listener': {
    metadata: informational,
    reuse_port: 'deprecated in favour of enable_reuse_port',
    bypass_overload_manager: 'of the overload manager there is only the connection limit, which has its own switch',
  },
  'envoy.config.listener.v3.ListenerFilter': { name: extensionName },
  'envoy.data.dns.v3.DnsTable': { known_suffixes: 'deprecated: the table says what is known' },
  'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig': {
    dns_resolver_options: 'the client decides about TCP; its question is passed on as it is',
    udp_max_queries: 'each question has a socket of its own',
  },
  'envoy.config.listener.v3.Filter': { name: extensionName },
  'envoy.config.listener.v3.FilterChain': { metadata: informational },
  'envoy.config.accesslog.v3.AccessLog': { name: extensionName },
  'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector': {
    initial_read_buffer_size: 'a ClientHello is always looked at whole',
  },
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter': {
    is_optional: 'lets a proxy skip a filter it does not know; this one refuses it',
  },
  'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig': {
    emit_filter_state: 'for other filters and %FILTER_STATE%, of which there are none here that could read it',
  },
  'envoy.extensions.filters.http.router.v3.Router': { dynamic_stats: 'those statistics are always kept' },
  'envoy.config.core.v3.Http1ProtocolOptions': {
    use_balsa_parser: 'chooses between two parsers of Envoy',
    allow_absolute_url: 'absolute targets are understood always; Envoy too defaults to true',
  },
  'envoy.config.route.v3.RouteConfiguration': {
    metadata: informational,
  },
  'envoy.config.route.v3.VirtualHost': { metadata: informational },
  'envoy.config.route.v3.Route': {
    metadata: informational,
    decorator: 'names spans; there is no tracer',
  },
  'envoy.config.route.v3.RouteAction.RequestMirrorPolicy': { trace_sampled: 'there is no tracer' },
  'envoy.config.route.v3.WeightedCluster': {
    total_weight: 'deprecated: the sum of the weights counts',
  },
  'envoy.config.route.v3.RetryPolicy': {
    host_selection_retry_max_attempts: 'hosts that were tried are left out in one step',
  },
  'envoy.config.route.v3.RetryPolicy.RetryHostPredicate': { name: extensionName },
  'envoy.config.cluster.v3.Cluster': {
    metadata: informational,
    wait_for_warm_on_init: 'start-up waits for what it needs',
    track_timeout_budgets: 'only adds statistics',
    track_cluster_stats: 'only adds statistics',
    cleanup_interval: 'hosts of an original_dst cluster go when they are idle',
    ignore_health_on_host_removal: 'a removal is never delayed by active health checks',
    close_connections_on_host_health_failure: 'hosts that are out take nothing new',
    protocol_selection: 'deprecated: typed_extension_protocol_options decides',
  },
  'envoy.config.cluster.v3.Cluster.CommonLbConfig': {
    update_merge_window: 'updates are applied at once; none is held back',
    ignore_new_hosts_until_first_hc: 'hosts are out until their first check has passed, but for panic',
  },
  'envoy.config.core.v3.Http2ProtocolOptions': {
    use_oghttp2_codec: 'chooses between two codecs of Envoy',
  },
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig': {
    http3_protocol_options: 'no downstream is HTTP/3, so these never come into play',
  },
  'envoy.config.cluster.v3.CircuitBreakers.Thresholds': { track_remaining: 'only adds statistics' },
  'envoy.config.endpoint.v3.LocalityLbEndpoints': {
    metadata: informational,
    proximity: 'unused by Envoy too',
  },
  'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext': {
    max_session_keys: 'sessions are never resumed, so that every connection is verified',
    enforce_rsa_key_usage: 'key usage is enforced, always',
  },
  'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext': {
    disable_stateful_session_resumption: 'sessions are never resumed, so that every connection is verified',
    session_timeout: 'sessions are never resumed, so that every connection is verified',
  },
};
