/** How a cluster speaks and balances: upstream protocol options and the load-balancing policy. */
import type {
  Cluster,
  Cluster_LeastRequestLbConfig,
  Cluster_RoundRobinLbConfig,
} from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import type {
  HttpProtocolOptions as CommonOptions,
  UpstreamHttpProtocolOptions,
} from '@chainmail/xds/proto/envoy/config/core/v3/protocol';
import type { ClusterProvided } from '@chainmail/xds/proto/envoy/extensions/load_balancing_policies/cluster_provided/v3/cluster_provided';
import type { LeastRequest } from '@chainmail/xds/proto/envoy/extensions/load_balancing_policies/least_request/v3/least_request';
import type { Maglev } from '@chainmail/xds/proto/envoy/extensions/load_balancing_policies/maglev/v3/maglev';
import type { Random } from '@chainmail/xds/proto/envoy/extensions/load_balancing_policies/random/v3/random';
import type { RingHash } from '@chainmail/xds/proto/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash';
import type { RoundRobin } from '@chainmail/xds/proto/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin';
import type {
  HttpProtocolOptions,
  HttpProtocolOptions_ExplicitHttpConfig,
} from '@chainmail/xds/proto/envoy/extensions/upstreams/http/v3/http_protocol_options';
import { defaultResponseLimits, type HeadLimits } from '../http1/parse-head.ts';
import { defaultHttp2Options, type Http2Options } from '../http2/options.ts';
import type { ClusterSpec, HashingSpec, SlowStartSpec } from '../model/cluster.ts';
import { readCommonHashing, readMaglev, readRing, readRingCommon } from './consistent-hashing.ts';
import { readRuntimeDouble } from './fraction.ts';
import { type CommonHttpOptions, readCommonHttpOptions, readHttp1Options } from './http-options.ts';
import { readHttp2Options } from './http2-options.ts';
import { defaultLocalityChoice, type LocalityChoice, readLocalityChoice } from './locality-balancing.ts';
import { type Extension, extension, type MessageReader } from './message-reader.ts';

export interface ProtocolChoice {
  readonly protocol: ClusterSpec['protocol'];
  readonly http2: Http2Options;
  readonly responseLimits: HeadLimits;
  readonly autoSni: boolean;
  readonly common: CommonHttpOptions | undefined;
}

type Options = Omit<ProtocolChoice, 'responseLimits'>;
type Version = Pick<ProtocolChoice, 'protocol' | 'http2'>;

const optionsType = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

export function readProtocol(r: MessageReader<Cluster>): ProtocolChoice {
  const entries = Object.entries(r.take('typedExtensionProtocolOptions'));
  let choice: Options = readLegacy(r);
  for (const [name, any] of entries) {
    if (name !== optionsType) throw r.unsupported('typedExtensionProtocolOptions', `'${name}' is not implemented`);
    choice = r.extension('typedExtensionProtocolOptions', any, [
      extension<HttpProtocolOptions, Options>(optionsType, readOptions),
    ]);
  }
  return { ...choice, ...headLimits(choice) };
}

/** Limits of answers, in both versions of HTTP. */
function headLimits({ common, http2 }: Options): Pick<ProtocolChoice, 'http2' | 'responseLimits'> {
  const { maxHeadersCount: maxHeaders, maxResponseHeadersBytes: maxBytes } = common ?? {};
  return {
    http2: { ...http2, maxHeaders: maxHeaders ?? http2.maxHeaders, maxHeaderBytes: maxBytes ?? http2.maxHeaderBytes },
    responseLimits: {
      maxBytes: maxBytes ?? defaultResponseLimits.maxBytes,
      maxHeaders: maxHeaders ?? defaultResponseLimits.maxHeaders,
    },
  };
}

/** The deprecated fields of Cluster itself. */
function readLegacy(r: MessageReader<Cluster>): Options {
  const common = r.inside('commonHttpProtocolOptions', readUpstreamCommon);
  r.inside('httpProtocolOptions', readHttp1Options);
  const http2 = r.inside('http2ProtocolOptions', readHttp2Options);
  const protocol = http2 === undefined ? 'http1' : 'http2';
  return { protocol, http2: http2 ?? defaultHttp2Options, autoSni: false, common };
}

/** The longest time of a request is the listener's or the route's to say. */
function readUpstreamCommon(r: MessageReader<CommonOptions>): CommonHttpOptions {
  r.only('maxStreamDuration');
  return readCommonHttpOptions(r);
}

function readOptions(r: MessageReader<HttpProtocolOptions>): Options {
  const common = r.inside('commonHttpProtocolOptions', readUpstreamCommon);
  const autoSni = r.inside('upstreamHttpProtocolOptions', readAutoSni) ?? false;
  return { ...readVersion(r), autoSni, common };
}

function readAutoSni(r: MessageReader<UpstreamHttpProtocolOptions>): boolean {
  r.only('autoSanValidation', false);
  return r.take('autoSni');
}

function readVersion(r: MessageReader<HttpProtocolOptions>): Version {
  const choice = r.take('upstreamProtocolOptions');
  switch (choice.case) {
    case 'explicitHttpConfig':
      return r.within('explicitHttpConfig', choice.value, readExplicit);
    case 'useDownstreamProtocolConfig':
      return r.within('useDownstreamProtocolConfig', choice.value, (d) => {
        d.inside('httpProtocolOptions', readHttp1Options);
        return {
          protocol: 'downstream',
          http2: d.inside('http2ProtocolOptions', readHttp2Options) ?? defaultHttp2Options,
        };
      });
    case 'autoConfig':
      return r.within('autoConfig', choice.value, (a) => {
        a.inside('httpProtocolOptions', readHttp1Options);
        return { protocol: 'auto', http2: a.inside('http2ProtocolOptions', readHttp2Options) ?? defaultHttp2Options };
      });
    case undefined:
      throw r.invalid('upstreamProtocolOptions', 'is required');
  }
}

function readExplicit(r: MessageReader<HttpProtocolOptions_ExplicitHttpConfig>): Version {
  const config = r.take('protocolConfig');
  switch (config.case) {
    case 'http2ProtocolOptions':
      return { protocol: 'http2', http2: r.within('http2ProtocolOptions', config.value, readHttp2Options) };
    case 'httpProtocolOptions':
      r.within('httpProtocolOptions', config.value, readHttp1Options);
      return { protocol: 'http1', http2: defaultHttp2Options };
    default:
      throw r.unsupported(config.case ?? 'protocolConfig');
  }
}

/** What a TLS client offers where its context says nothing, as in Envoy; over HTTP/1.1 ones TCP may be proxied, too. */
export const offeredAlpn: Readonly<Record<ClusterSpec['protocol'], readonly string[]>> = {
  http1: [],
  http2: ['h2'],
  downstream: [],
  auto: ['h2', 'http/1.1'],
};

interface Balancing
  extends Pick<ClusterSpec, 'lb' | 'leastRequestChoices' | 'hashing' | 'slowStart' | 'activeRequestBias'> {
  /** Of a load-balancing extension, which says it alone; undefined where the cluster's own fields do. */
  readonly locality?: LocalityChoice;
}

const defaultChoices = 2;

const policies = {
  ROUND_ROBIN: 'round_robin',
  LEAST_REQUEST: 'least_request',
  RANDOM: 'random',
  RING_HASH: 'ring_hash',
  MAGLEV: 'maglev',
  CLUSTER_PROVIDED: 'cluster_provided',
  LOAD_BALANCING_POLICY_CONFIG: 'extension',
} as const;

export function readBalancing(r: MessageReader<Cluster>): Balancing {
  const policy = r.oneOf('lbPolicy', policies);
  const extended = r.inside('loadBalancingPolicy', (p) => {
    const [first, ...more] = p.each('policies', (one) =>
      one.required('typedExtensionConfig', (c) => c.extension('typedConfig', requiredAny(c), balancingExtensions)),
    );
    if (first === undefined || more.length > 0) throw p.unsupported('policies', 'must hold exactly one policy');
    return first;
  });
  const legacy = readLegacyBalancing(r);
  if (extended !== undefined) return extended;
  if (policy === 'extension') throw r.invalid('loadBalancingPolicy', 'is required by lb_policy');
  return { lb: policy, leastRequestChoices: legacy.choices, hashing: legacy.hashing, ...legacy.more };
}

type Any = Parameters<MessageReader<Cluster>['extension']>[1];

function requiredAny(r: {
  take(name: 'typedConfig'): Any | undefined;
  invalid(name: string, reason: string): Error;
}): Any {
  const any = r.take('typedConfig');
  if (any === undefined) throw r.invalid('typedConfig', 'is required');
  return any;
}

interface LegacyBalancing {
  readonly choices: number;
  readonly hashing: HashingSpec | null;
  readonly more: Pick<Balancing, 'slowStart' | 'activeRequestBias'>;
}

/** The fields of Cluster itself: number of choices for least request, sizes for consistent hashing. */
function readLegacyBalancing(r: MessageReader<Cluster>): LegacyBalancing {
  const config = r.take('lbConfig');
  const none: LegacyBalancing = { choices: defaultChoices, hashing: null, more: {} };
  switch (config.case) {
    case undefined:
      return none;
    case 'leastRequestLbConfig':
      return r.within('leastRequestLbConfig', config.value, (l) => ({
        ...none,
        choices: l.take('choiceCount') ?? defaultChoices,
        more: { ...readBias(l), ...readSlowStart(l) },
      }));
    case 'roundRobinLbConfig':
      return r.within('roundRobinLbConfig', config.value, (b) => ({ ...none, more: readSlowStart(b) }));
    case 'ringHashLbConfig':
      return r.within('ringHashLbConfig', config.value, (h) => ({ ...none, hashing: readRing(h) }));
    case 'maglevLbConfig':
      return r.within('maglevLbConfig', config.value, (m) => ({ ...none, hashing: readMaglev(m) }));
    case 'originalDstLbConfig':
      return r.within('originalDstLbConfig', config.value, (o) => {
        o.only('useHttpHeader', false);
        return none;
      });
  }
}

type WithSlowStart =
  | MessageReader<Cluster_LeastRequestLbConfig>
  | MessageReader<Cluster_RoundRobinLbConfig>
  | MessageReader<LeastRequest>
  | MessageReader<RoundRobin>;

/** Both forms of the message have the same fields. */
function readSlowStart(level: WithSlowStart): Pick<ClusterSpec, 'slowStart'> {
  const r = level as MessageReader<Cluster_RoundRobinLbConfig>;
  const slowStart = r.inside('slowStartConfig', (s): SlowStartSpec | null => {
    const windowMs = s.durationMs('slowStartWindow') ?? 0;
    const aggression = s.inside('aggression', readRuntimeDouble) ?? 1;
    const minShare = (s.inside('minWeightPercent', (p) => p.take('value')) ?? 10) / 100;
    if (aggression <= 0) throw s.invalid('aggression', 'must be greater than 0');
    return windowMs === 0 ? null : { windowMs, aggression, minShare };
  });
  return slowStart ? { slowStart } : {};
}

function readBias(
  level: MessageReader<Cluster_LeastRequestLbConfig> | MessageReader<LeastRequest>,
): Pick<ClusterSpec, 'activeRequestBias'> {
  const r = level as MessageReader<Cluster_LeastRequestLbConfig>;
  const bias = r.inside('activeRequestBias', readRuntimeDouble);
  if (bias === undefined) return {};
  if (bias < 0) throw r.invalid('activeRequestBias', 'must not be negative');
  return { activeRequestBias: bias };
}

function readLocalityRules(
  level: MessageReader<RoundRobin> | MessageReader<LeastRequest> | MessageReader<Random>,
): LocalityChoice {
  const r = level as MessageReader<RoundRobin>;
  return r.inside('localityLbConfig', readLocalityChoice) ?? defaultLocalityChoice;
}

const balancingExtensions: readonly Extension<Balancing>[] = [
  extension<RoundRobin, Balancing>('envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin', (b) => ({
    lb: 'round_robin',
    leastRequestChoices: defaultChoices,
    ...readSlowStart(b),
    locality: readLocalityRules(b),
  })),
  extension<LeastRequest, Balancing>('envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest', (l) => {
    l.only('enableFullScan', false);
    l.oneOf('selectionMethod', { N_CHOICES: null });
    const leastRequestChoices = l.take('choiceCount') ?? defaultChoices;
    const locality = readLocalityRules(l);
    return { lb: 'least_request', leastRequestChoices, ...readBias(l), ...readSlowStart(l), locality };
  }),
  extension<Random, Balancing>('envoy.extensions.load_balancing_policies.random.v3.Random', (o) => ({
    lb: 'random',
    leastRequestChoices: defaultChoices,
    locality: readLocalityRules(o),
  })),
  extension<RingHash, Balancing>('envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash', (h) => ({
    lb: 'ring_hash',
    leastRequestChoices: defaultChoices,
    hashing: { ...readRing(h), ...readRingCommon(h) },
    locality: defaultLocalityChoice,
  })),
  extension<Maglev, Balancing>('envoy.extensions.load_balancing_policies.maglev.v3.Maglev', (m) => ({
    lb: 'maglev',
    leastRequestChoices: defaultChoices,
    hashing: { ...readMaglev(m), ...m.inside('consistentHashingLbConfig', readCommonHashing) },
    locality: defaultLocalityChoice,
  })),
  extension<ClusterProvided, Balancing>(
    'envoy.extensions.load_balancing_policies.cluster_provided.v3.ClusterProvided',
    () => ({ lb: 'cluster_provided', leastRequestChoices: defaultChoices, locality: defaultLocalityChoice }),
  ),
];
