/**
 * The names and numbers that separate processes must agree on: ports, labels, paths, uid. Reasons in docs/ports.md.
 * Invariant: nothing here depends on configuration.
 */

/** TCP and UDP ports. 15000-15099 are reserved in every meshed pod. */
export const ports = {
  agentAdmin: 15000,
  agentOutbound: 15001,
  agentInbound: 15006,
  control: 15012,
  ca: 15013,
  controlMetrics: 15014,
  caMetrics: 15016,
  agentMetrics: 15020,
  agentHealth: 15021,
  agentDns: 15053,
  injector: 9443,
} as const;

/** First and last port that an application in a meshed pod may not use. */
export const reservedPorts = { first: 15000, last: 15099 } as const;

/** The only uid the agent runs under; interception lets its traffic pass. */
export const agentUid = 1337;

/** Source address of the agent's own connections to the application; the rules let it through. */
export const inboundSource = { v4: '127.0.0.6', v6: '::6' } as const;

export const labels = {
  /** On a namespace or a pod: `enabled` or `disabled`. */
  inject: 'chainmail.dev/inject',
} as const;

export const annotations = {
  inject: 'chainmail.dev/inject',
  /** Written by the injector: what it added and what the probes were, as JSON. */
  status: 'chainmail.dev/status',
  excludeInboundPorts: 'chainmail.dev/exclude-inbound-ports',
  excludeOutboundPorts: 'chainmail.dev/exclude-outbound-ports',
  excludeOutboundCidrs: 'chainmail.dev/exclude-outbound-cidrs',
  /** `enabled`: names are looked up through the agent, which knows those of the mesh itself. */
  captureDns: 'chainmail.dev/capture-dns',
  concurrency: 'chainmail.dev/concurrency',
  logLevel: 'chainmail.dev/log-level',
  /** On a namespace or pod: the namespaces whose Services its agents may call, comma-separated; absent means all. */
  uses: 'chainmail.dev/uses',
  agentCpuRequest: 'chainmail.dev/agent-cpu-request',
  agentCpuLimit: 'chainmail.dev/agent-cpu-limit',
  agentMemoryRequest: 'chainmail.dev/agent-memory-request',
  agentMemoryLimit: 'chainmail.dev/agent-memory-limit',
} as const;

/** The group and version of our own kinds. */
export const apiGroup = 'chainmail.dev';
export const apiVersion = 'chainmail.dev/v1alpha1';

/** Namespace and service accounts of the mesh's own processes. */
export const system = {
  namespace: 'chainmail-system',
  controlServiceAccount: 'chainmail-control',
  caServiceAccount: 'chainmail-ca',
  injectorServiceAccount: 'chainmail-injector',
} as const;

/**
 * Where an API server asks for a review. At `pod` it has seen itself that the namespace carries no label, so that the
 * injector need not ask it back.
 */
export const reviewPaths = { namespace: '/inject', pod: '/inject/pod' } as const;

/** Container names the injector adds. */
export const containers = { init: 'mesh-init', agent: 'mesh-agent' } as const;

/** Volumes the injector adds; only the agent's container mounts them. */
export const volumes = {
  token: 'chainmail-token',
  trustBundle: 'chainmail-bundle',
  state: 'chainmail-state',
  podInfo: 'chainmail-podinfo',
} as const;

/** First segment of the paths on the health port behind which the agent runs an application's probe. */
export const appProbePrefix = '/app-health/';

/** Audience of the projected service-account token that the CA accepts. */
export const tokenAudience = 'chainmail-ca';

/** Paths inside a meshed pod. All below /var/run, so that a private mount of it is enough on one machine. */
export const podPaths = {
  token: '/var/run/secrets/chainmail/token',
  trustBundle: '/var/run/chainmail/bundle/bundle.pem',
  /** A memory emptyDir that only the agent sees. */
  state: '/var/run/chainmail/state',
  /** The admin interface as a unix socket, for whoever holds the pod's volumes (`meshctl dev`). */
  adminSocket: '/var/run/chainmail/state/admin.sock',
  podInfo: '/var/run/chainmail/podinfo',
} as const;

/** ConfigMap with the trust bundle, one in every labelled namespace. */
export const trustBundleConfigMap = { name: 'chainmail-trust-bundle', key: 'bundle.pem' } as const;

export const defaultTrustDomain = 'cluster.local';

/**
 * Names inside generated xDS that both sides treat specially: the agent answers SDS for these secrets itself, from
 * its own identity, when their config source is the gRPC service of cluster `identity`.
 */
export const xdsNames = {
  identityCluster: 'identity',
  adsCluster: 'control',
  ownCertificateSecret: 'default',
  trustBundleSecret: 'trust-bundle',
  outboundListener: 'outbound',
  inboundListener: 'inbound',
  dnsListener: 'dns',
  /** ALPN of mesh traffic, told from an application's own TLS where PERMISSIVE allows both. */
  meshAlpn: 'chainmail',
} as const;

/** What an agent says in its node's client_features, so that control knows what it may be given. */
export const clientFeatures = {
  /** HTTP/2 on both sides, and between agents whatever the application speaks. */
  http2: 'chainmail.http2',
} as const;

/** Environment of the injected agent container, beside the downward API. */
export const agentEnv = {
  podName: 'POD_NAME',
  podNamespace: 'POD_NAMESPACE',
  podUid: 'POD_UID',
  podIp: 'POD_IP',
  podIps: 'POD_IPS',
  nodeName: 'NODE_NAME',
  serviceAccount: 'SERVICE_ACCOUNT',
  trustDomain: 'CHAINMAIL_TRUST_DOMAIN',
  controlAddress: 'CHAINMAIL_CONTROL_ADDRESS',
  caAddress: 'CHAINMAIL_CA_ADDRESS',
  /** Wanted SVID lifetime in seconds, empty for the CA's default. */
  certificateTtl: 'CHAINMAIL_CERTIFICATE_TTL',
  concurrency: 'CHAINMAIL_CONCURRENCY',
  logLevel: 'CHAINMAIL_LOG_LEVEL',
  drainSeconds: 'CHAINMAIL_DRAIN_SECONDS',
  /** `true` where mesh-init has run before: the agent proves that inbound traffic comes to it before it serves. */
  proveInterception: 'CHAINMAIL_PROVE_INTERCEPTION',
  /** What interception leaves alone, as the arguments of mesh-init: the agent logs and counts the holes. */
  exclusions: 'CHAINMAIL_EXCLUSIONS',
  /** The application's own probes, which the agent serves on its health port; JSON of app-probes.ts. */
  appProbes: 'CHAINMAIL_APP_PROBES',
} as const;
