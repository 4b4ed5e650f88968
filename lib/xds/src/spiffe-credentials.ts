/**
 * SPIFFE identities (spiffe-tls.ts) as the credentials of grpc-js, for its clients and its servers.
 * Invariant: rotation needs no new channel or server.
 */
import { createSecureContext, type PeerCertificate, type SecureContextOptions } from 'node:tls';
import { type SvidVerdict, type TrustBundle, verifySvid, type WorkloadIdentity } from '@chainmail/pki';
import { ChannelCredentials, type ChannelOptions, ServerCredentials } from '@grpc/grpc-js';
import {
  meshTlsOptions,
  presentedChain,
  type SpiffeChannelOptions,
  secureContextOptions,
  spiffeConnection,
} from './spiffe-tls.ts';

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
    const { context, checkServerIdentity } = spiffeConnection(this.#options);
    return ChannelCredentials.createFromSecureContext(createSecureContext(context), { checkServerIdentity });
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
    super({ ...meshTlsOptions, requestCert: needed, rejectUnauthorized: needed });
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
