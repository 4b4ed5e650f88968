/** SETTINGS (RFC 9113 section 6.5): what we announce, and what of the peer's is acceptable. */
import {
  defaultFrameBytes,
  defaultWindow,
  errorCode,
  frameHeaderBytes,
  frameType,
  maxFrameBytes,
  maxWindow,
  readUint32,
  setting,
  writeFrameHeader,
  writeUint32,
} from './frame.ts';
import type { Http2Options } from './options.ts';

export type Role = 'client' | 'server';

export const settingBytes = 6;

/** Our first frames after the client's preface: SETTINGS, and the update that makes the connection's window ours. */
export function firstFrames(role: Role, options: Http2Options): Buffer {
  const values: [number, number][] = [];
  if (options.hpackTableSize !== 4096) values.push([setting.headerTableSize, options.hpackTableSize]);
  if (role === 'client') values.push([setting.enablePush, 0]);
  else values.push([setting.maxConcurrentStreams, options.maxConcurrentStreams]);
  if (role === 'server' && options.allowConnect) values.push([setting.enableConnectProtocol, 1]);
  values.push([setting.initialWindowSize, options.initialStreamWindowSize]);
  // RFC 9113 counts 32 bytes for each field; our limit does not.
  values.push([setting.maxHeaderListSize, options.maxHeaderBytes + 32 * options.maxHeaders]);
  const b = Buffer.alloc(frameHeaderBytes + values.length * settingBytes + frameHeaderBytes + 4);
  writeFrameHeader(b, 0, values.length * settingBytes, frameType.settings, 0, 0);
  let p = frameHeaderBytes;
  for (const [id, value] of values) {
    b[p + 1] = id;
    writeUint32(b, p + 2, value);
    p += settingBytes;
  }
  const grow = options.initialConnectionWindowSize - defaultWindow;
  if (grow <= 0) return b.subarray(0, p);
  writeFrameHeader(b, p, 4, frameType.windowUpdate, 0, 0);
  writeUint32(b, p + frameHeaderBytes, grow);
  return b;
}

/** The value of the setting at `at`, whose id is the 16 bits there. */
export function settingValue(b: Buffer, at: number): number {
  return readUint32(b, at + 2);
}

export function settingId(b: Buffer, at: number): number {
  return ((b[at] as number) << 8) | (b[at + 1] as number);
}

/** An error code of the connection, or 0. A server must not offer pushes, and a client's ENABLE_PUSH is 0 or 1. */
export function checkSetting(role: Role, id: number, value: number): number {
  switch (id) {
    case setting.enablePush:
      return value > (role === 'client' ? 0 : 1) ? errorCode.protocolError : 0;
    case setting.initialWindowSize:
      return value > maxWindow ? errorCode.flowControlError : 0;
    case setting.maxFrameSize:
      return value < defaultFrameBytes || value > maxFrameBytes ? errorCode.protocolError : 0;
    case setting.enableConnectProtocol:
      return value > 1 ? errorCode.protocolError : 0;
    default:
      return 0;
  }
}
