/**
 * gRPC over TLS 1.3 between SPIFFE identities: who the other side is comes from its SVID, never from a DNS name.
 * Invariant: key, chain and bundle are read anew for every connection, so rotation needs no new channel or server.
 */
import { constants } from 'node:crypto';
import {
  createSecureContext,
  type DetailedPeerCertificate,
  type PeerCertificate,
  type SecureContextOptions,
} from 'node:tls';
import {
  type IdentityMaterial,
  maxChainLength,
  type SvidVerdict,
  type TrustBundle,
  verifySvid,
  type WorkloadIdentity,
} from '@chainmail/pki';
import { type Clock, systemClock } from '@chainmail/runtime';
import { ChannelCredentials, type ChannelOptions, ServerCredentials } from '@grpc/grpc-js';

const tlsOptions = {
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
  // A resumed session would skip the check of the certificate, which may have expired since.
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies SecureContextOptions;

/**
 * Options every mesh channel wants. The name is only for SNI and :authority; the SVID is what is checked. Without an
 * override grpc-js fails on addresses, and without the others it asks DNS for TXT records and obeys http_proxy.
 */
export function meshChannelOptions(serverName: string): ChannelOptions {
  return {
    'grpc.ssl_target_name_override': serverName,
    'grpc.default_authority': serverName,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.use_local_subchannel_pool': 1,
  };
}

export interface SpiffeChannelOptions {
  /** The bundles to check the server against, now. May throw: the connection fails with its message. */
  readonly bundles: () => readonly TrustBundle[];
  /** What to present, now; undefined at a connection means it fails. Absent for a client without an identity yet. */
  readonly identity?: () => IdentityMaterial | undefined;
  /** The ids the server may have. */
  readonly expected: readonly string[];
  readonly clock?: Clock;
}

function presentedChain(leaf: PeerCertificate | DetailedPeerCertificate): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let at: PeerCertificate | DetailedPeerCertificate | undefined = leaf;
  while (at?.raw !== undefined && chain.length < maxChainLength) {
    chain.push(at.raw);
    const next: DetailedPeerCertificate | undefined = 'issuerCertificate' in at ? at.issuerCertificate : undefined;
    at = next === at ? undefined : next;
  }
  return chain;
}

function secureContextOptions(bundles: readonly TrustBundle[], material?: IdentityMaterial): SecureContextOptions {
  const own = material === undefined ? {} : { key: material.keyPem, cert: material.chainPem };
  return { ...tlsOptions, ca: bundles.map((b) => b.pem), ...own };
}

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;
type ConnectorArguments = Parameters<ChannelCredentials['_createSecureConnector']>;

class SpiffeChannelCredentials extends ChannelCredentials {
  readonly #options: SpiffeChannelOptions;

  constructor(options: SpiffeChannelOptions) {
    super();
    this.#options = options;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...args: ConnectorArguments): SecureConnector {
    const idle = ChannelCredentials.createFromSecureContext(createSecureContext())._createSecureConnector(...args);
    return {
      connect: async (socket) =>
        this.#current()
          ._createSecureConnector(...args)
          .connect(socket),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => idle.getCallCredentials(),
      destroy: () => idle.destroy(),
    };
  }

  #current(): ChannelCredentials {
    const { bundles, identity, expected, clock = systemClock } = this.#options;
    const trusted = bundles();
    const material = identity?.();
    if (identity !== undefined && material === undefined) throw new Error('no valid certificate of our own to present');
    return ChannelCredentials.createFromSecureContext(createSecureContext(secureContextOptions(trusted, material)), {
      checkServerIdentity: (_name, certificate) => {
        const chain = presentedChain(certificate);
        const verdict = verifySvid({ chain, bundles: trusted, nowMs: clock.now(), expected });
        return verdict.ok ? undefined : new Error(`the server's certificate is refused: ${verdict.reason}`);
      },
    });
  }
}

/** Client credentials; use with meshChannelOptions. */
export function spiffeChannelCredentials(options: SpiffeChannelOptions): ChannelCredentials {
  return new SpiffeChannelCredentials(options);
}

export interface SpiffeServerOptions {
  readonly identity: WorkloadIdentity;
  /** Whether a client must present a certificate that chains to the bundle; its SVID is checked with peerSvid. */
  readonly clients: 'with-certificate' | 'without-certificate';
}

class SpiffeServerCredentials extends ServerCredentials {
  readonly #end: () => void;

  constructor(options: SpiffeServerOptions) {
    const needed = options.clients === 'with-certificate';
    super({ ...tlsOptions, requestCert: needed, rejectUnauthorized: needed });
    const refresh = (): void => this.updateSecureContextOptions(contextOf(options.identity));
    this.#end = options.identity.subscribe((event) => {
      if (event.type === 'rotated' || event.type === 'bundle-changed' || event.type === 'expired') refresh();
    });
    refresh();
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  close(): void {
    this.#end();
  }
}

/** Null makes grpc-js drop new connections: without a valid certificate nobody is served. */
function contextOf(identity: WorkloadIdentity): SecureContextOptions | null {
  const material = identity.current();
  return material === undefined ? null : secureContextOptions([material.bundle], material);
}

/** Server credentials that follow the identity: new connections get the newest certificate, old ones go on. */
export function spiffeServerCredentials(options: SpiffeServerOptions): ServerCredentials & { close(): void } {
  return new SpiffeServerCredentials(options);
}

/**
 * The SVID of a call's client, by every rule and at this time: to be asked at the start of each call, for the TLS
 * library checks less. `call` is any server call of grpc-js.
 */
export function peerSvid(
  call: { getAuthContext(): { sslPeerCertificate?: PeerCertificate } | null },
  bundles: readonly TrustBundle[],
  nowMs: number,
): SvidVerdict {
  const certificate = call.getAuthContext()?.sslPeerCertificate;
  return verifySvid({ chain: certificate === undefined ? [] : presentedChain(certificate), bundles, nowMs });
}
