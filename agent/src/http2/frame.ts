/** Numbers of RFC 9113 (and RFC 8441) and the layout of a frame's first nine bytes. */

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** RFC 9113 section 7. */
export const errorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

export const setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

export const frameHeaderBytes = 9;
export const defaultWindow = 65_535;
export const maxWindow = 0x7fffffff;
/** What every peer takes, and all that we announce: 16 KiB, a TLS record. */
export const defaultFrameBytes = 16_384;
export const maxFrameBytes = 0xffffff;
export const maxStreamId = 0x7fffffff;

export const clientPreface: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export function writeFrameHeader(
  b: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  b[at] = length >>> 16;
  b[at + 1] = length >>> 8;
  b[at + 2] = length;
  b[at + 3] = type;
  b[at + 4] = flags;
  writeUint32(b, at + 5, streamId);
}

export function writeUint32(b: Buffer, at: number, value: number): void {
  b[at] = value >>> 24;
  b[at + 1] = value >>> 16;
  b[at + 2] = value >>> 8;
  b[at + 3] = value;
}

/** 32 bits, unsigned. */
export function readUint32(b: Buffer, at: number): number {
  return (
    (((b[at] as number) << 24) |
      ((b[at + 1] as number) << 16) |
      ((b[at + 2] as number) << 8) |
      (b[at + 3] as number)) >>>
    0
  );
}

/** The lower 31 bits: a stream id or a window increment, whose first bit is to be ignored. */
export function readUint31(b: Buffer, at: number): number {
  return (
    (((b[at] as number) & 127) << 24) |
    ((b[at + 1] as number) << 16) |
    ((b[at + 2] as number) << 8) |
    (b[at + 3] as number)
  );
}
