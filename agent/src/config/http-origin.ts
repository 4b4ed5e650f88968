/** Who the client of a request is, and what we say of ourselves in passing it on: rarer settings of the HTTP manager. */

import type { HttpConnectionManager } from '@chainmail/xds/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import type { CustomHeaderConfig } from '@chainmail/xds/proto/envoy/extensions/http/original_ip_detection/custom_header/v3/custom_header';
import type { XffConfig } from '@chainmail/xds/proto/envoy/extensions/http/original_ip_detection/xff/v3/xff';
import type { UuidRequestIdConfig } from '@chainmail/xds/proto/envoy/extensions/request_id/uuid/v3/uuid';
import type { ClientOriginSpec, HttpConnectionManagerSpec, IpDetectionSpec } from '../model/http.ts';
import { readCidr } from './address.ts';
import type { CompileContext } from './compile-context.ts';
import { extension, type MessageReader } from './message-reader.ts';

type Reader = MessageReader<HttpConnectionManager>;

type Forwarding = Pick<HttpConnectionManagerSpec, 'via' | 'userAgent' | 'origin' | 'stripTrailingHostDot'>;

export function readForwarding(r: Reader, context: CompileContext): Forwarding {
  checkRequestIdExtension(r);
  return {
    via: r.take('via'),
    userAgent: r.take('addUserAgent') === true ? (context.env.node ?? { cluster: '', node: '' }) : null,
    origin: readOrigin(r),
    stripTrailingHostDot: r.take('stripTrailingHostDot'),
  };
}

function readOrigin(r: Reader): ClientOriginSpec | null {
  const useRemoteAddress = r.message.useRemoteAddress ?? false;
  const detection = readDetection(r);
  if (detection.length > 0 && (useRemoteAddress || r.message.xffNumTrustedHops > 0)) {
    throw r.invalid(
      'originalIpDetectionExtensions',
      'Original IP detection extensions and use_remote_address or xff_num_trusted_hops may not be mixed',
    );
  }
  const trustsHops = useRemoteAddress && r.message.xffNumTrustedHops === 0;
  const origin: ClientOriginSpec = {
    internalRanges:
      r.inside('internalAddressConfig', (i) => {
        i.take('unixSockets');
        return i.each('cidrRanges', readCidr);
      }) ?? [],
    detection,
    forwardedPort: r.take('appendXForwardedPort') ? (trustsHops ? 'always' : 'if-absent') : 'off',
    scheme: readScheme(r),
  };
  const isPlain = origin.internalRanges.length + detection.length === 0 && origin.forwardedPort === 'off';
  return isPlain && origin.scheme === null ? null : origin;
}

function readScheme(r: Reader): string | null {
  return (
    r.inside('schemeHeaderTransformation', (s) => {
      s.only('matchUpstream', false);
      const to = s.take('transformation');
      if (to.case === undefined) return null;
      return to.value;
    }) ?? null
  );
}

function readDetection(r: Reader): readonly IpDetectionSpec[] {
  return r.each('originalIpDetectionExtensions', (e) => {
    const config = e.take('typedConfig');
    if (config === undefined) throw e.invalid('typedConfig', 'is required');
    return e.extension('typedConfig', config, [
      extension<XffConfig, IpDetectionSpec>('envoy.extensions.http.original_ip_detection.xff.v3.XffConfig', (x) => ({
        kind: 'xff',
        hops: x.take('xffNumTrustedHops'),
      })),
      extension<CustomHeaderConfig, IpDetectionSpec>(
        'envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig',
        (c) => ({
          kind: 'custom_header',
          name: c.take('headerName').toLowerCase(),
          trusted: c.take('allowExtensionToSetAddressAsTrusted'),
          rejectStatus: c.inside('rejectWithStatus', (s) => errorStatus(s.take('code'))) ?? 0,
        }),
      ),
    ]);
  });
}

/** Envoy takes 403 for anything that is no error. */
function errorStatus(code: number): number {
  return code >= 400 && code < 600 ? code : 403;
}

/** Request ids are UUIDs; without a tracer nothing is packed into them, whatever the extension says. */
function checkRequestIdExtension(r: Reader): void {
  r.inside('requestIdExtension', (e) => {
    const config = e.take('typedConfig');
    if (config === undefined) throw e.invalid('typedConfig', 'is required');
    e.extension('typedConfig', config, [
      extension<UuidRequestIdConfig, void>('envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig', (u) => {
        u.take('packTraceReason');
        u.take('useRequestIdForTraceSampling');
      }),
    ]);
  });
}
