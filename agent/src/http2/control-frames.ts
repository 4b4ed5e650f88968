/**
 * Frames that carry no message (RFC 9113 section 6): PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE; the
 * time a peer has to answer our SETTINGS and PINGs.
 * Invariant: the peer's SETTINGS come first, and each of them is acknowledged once it holds; ours hold from the peer's
 * acknowledgement on.
 */
import type { TimerHandle } from '../worker/runtime.ts';
import type { Http2Connection } from './connection.ts';
import { countStat } from './counters.ts';
import type { Ending } from './ending.ts';
import { errorCode, flag, frameType, readUint31, readUint32, setting } from './frame.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { Keepalive, type KeepaliveOwner } from './keepalive.ts';
import type { OpenStreams } from './open-streams.ts';
import type { OutboundLimits } from './outbound-limits.ts';
import type { ReceiveWindows } from './receive-windows.ts';
import type { Sender } from './sender.ts';
import { checkSetting, settingBytes, settingId, settingValue } from './settings.ts';

const goawayBytes = 8;
const nothing = Buffer.alloc(0);

export class ControlFrames implements KeepaliveOwner {
  /** The peer's preface is complete: it began with SETTINGS. */
  gotSettings = false;
  /** The peer allows extended CONNECT (RFC 8441). */
  peerAllowsConnect = false;
  /** Its table is as large as SETTINGS say. */
  readonly decoder = new HpackDecoder();
  readonly #connection: Http2Connection;
  readonly #streams: OpenStreams;
  readonly #sender: Sender;
  readonly #ending: Ending;
  readonly #limits: OutboundLimits;
  readonly #windows: ReceiveWindows;
  #keepalive: Keepalive | null = null;
  #settingsTimer: TimerHandle | null = null;

  constructor(
    connection: Http2Connection,
    streams: OpenStreams,
    sender: Sender,
    ending: Ending,
    limits: OutboundLimits,
    windows: ReceiveWindows,
  ) {
    this.#connection = connection;
    this.#streams = streams;
    this.#sender = sender;
    this.#ending = ending;
    this.#limits = limits;
    this.#windows = windows;
  }

  // ---- what the peer has to answer in time

  /** Our SETTINGS have gone out. */
  start(): void {
    const { host, options } = this.#connection;
    const { settingsTimeoutMs, connectionKeepalive } = options;
    if (settingsTimeoutMs > 0) {
      this.#settingsTimer = host.timers.after(settingsTimeoutMs, () => {
        this.#settingsTimer = null;
        this.#ending.fail(errorCode.settingsTimeout, 'SETTINGS were not acknowledged');
      });
    }
    if (connectionKeepalive !== null) this.#keepalive = new Keepalive(host, connectionKeepalive, this);
  }

  stop(): void {
    this.#settingsTimer?.cancel();
    this.#keepalive?.stop();
  }

  /** A stream is about to be opened: after long silence the peer is asked whether it is still there. */
  beforeStream(): void {
    if (this.#keepalive === null || this.#streams.table.size > 0) return;
    this.#keepalive.afterIdle(this.#connection.host.clock.nowMs - this.#streams.idleSinceMs);
  }

  sendPing(payload: Buffer): void {
    if (this.#ending.closed) return;
    this.#sender.out.control(frameType.ping, 0, payload, 0, 8);
    this.#connection.touch();
  }

  onKeepaliveTimeout(): void {
    countStat(this.#connection.counters, 'keepalive_timeout', 1);
    this.#ending.fail(errorCode.noError, 'keepalive timeout');
    this.#ending.abandoned = true;
  }

  // ---- frames; each gives an error code of the connection, or 0

  onFrame(type: number, flags: number, id: number, b: Buffer, start: number, end: number): number {
    this.#connection.host.flushDirect();
    if (!this.gotSettings && (type !== frameType.settings || (flags & flag.ack) !== 0)) return errorCode.protocolError;
    switch (type) {
      case frameType.priority:
        return this.#onPriority(id, b, start, end);
      case frameType.rstStream:
        return this.#onReset(id, b, start, end);
      case frameType.settings:
        return this.#onSettings(flags, id, b, start, end);
      case frameType.ping:
        return this.#onPing(flags, id, b, start, end);
      case frameType.goaway:
        return this.#onGoaway(id, b, start, end);
      case frameType.windowUpdate:
        return this.#onWindowUpdate(id, b, start, end);
      case frameType.pushPromise:
        return errorCode.protocolError;
      default:
        return 0; // unknown types are ignored (section 4.1)
    }
  }

  /** Read for its form only: priorities are deprecated (section 5.3.2). */
  #onPriority(id: number, b: Buffer, start: number, end: number): number {
    if (id === 0) return errorCode.protocolError;
    const streams = this.#streams;
    const stat = streams.guard.priority();
    if (stat !== null) return this.#ending.flood(stat);
    const stream = streams.table.get(id);
    if (end - start !== 5) {
      return stream === null ? errorCode.frameSizeError : streams.fail(stream, errorCode.frameSizeError);
    }
    if (readUint31(b, start) !== id) return 0;
    return stream === null ? errorCode.protocolError : streams.fail(stream, errorCode.protocolError);
  }

  #onReset(id: number, b: Buffer, start: number, end: number): number {
    if (end - start !== 4) return errorCode.frameSizeError;
    if (id === 0 || this.#streams.isIdle(id)) return errorCode.protocolError;
    countStat(this.#connection.counters, 'rx_reset', 1);
    const stream = this.#streams.table.get(id);
    if (stream === null) return 0;
    const code = readUint32(b, start);
    this.#streams.cut(stream, code, code === errorCode.refusedStream ? 'refused' : 'remote');
    return 0;
  }

  #onSettings(flags: number, id: number, b: Buffer, start: number, end: number): number {
    if (id !== 0) return errorCode.protocolError;
    if ((flags & flag.ack) !== 0) {
      if (end > start) return errorCode.frameSizeError;
      this.#onSettingsAcknowledged();
      return 0;
    }
    if ((end - start) % settingBytes !== 0) return errorCode.frameSizeError;
    const first = !this.gotSettings;
    if (first) this.#streams.peerMax = Number.POSITIVE_INFINITY;
    this.gotSettings = true;
    for (let p = start; p < end; p += settingBytes) {
      const error = this.#applySetting(settingId(b, p), settingValue(b, p));
      if (error !== 0) return error;
    }
    const error = this.#limits.acknowledge(frameType.settings, nothing, 0, 0);
    if (first && error === 0) this.#connection.events.onSettings?.(this.#connection);
    return error;
  }

  #onSettingsAcknowledged(): void {
    this.#settingsTimer?.cancel();
    this.#settingsTimer = null;
    this.decoder.setLimit(this.#connection.options.hpackTableSize);
    this.#windows.settle(this.#streams.table);
  }

  #applySetting(id: number, value: number): number {
    const error = checkSetting(this.#connection.role, id, value);
    if (error !== 0) return error;
    if (id === setting.headerTableSize) this.#sender.encoder.setPeerLimit(value);
    else if (id === setting.maxConcurrentStreams) this.#streams.peerMax = value;
    else if (id === setting.enableConnectProtocol) this.peerAllowsConnect = value === 1;
    else if (id === setting.initialWindowSize) {
      if (!this.#sender.setInitialWindow(value, this.#streams.table)) return errorCode.flowControlError;
    }
    return 0;
  }

  #onPing(flags: number, id: number, b: Buffer, start: number, end: number): number {
    if (end - start !== 8) return errorCode.frameSizeError;
    if (id !== 0) return errorCode.protocolError;
    if ((flags & flag.ack) === 0) return this.#limits.acknowledge(frameType.ping, b, start, end);
    this.#keepalive?.answered(b, start);
    return 0;
  }

  #onGoaway(id: number, b: Buffer, start: number, end: number): number {
    if (id !== 0) return errorCode.protocolError;
    if (end - start < goawayBytes) return errorCode.frameSizeError;
    const ending = this.#ending;
    const lastId = readUint31(b, start);
    const code = readUint32(b, start + 4);
    ending.peerFinalId = ending.peerFinalId < 0 ? lastId : Math.min(lastId, ending.peerFinalId);
    if (this.#connection.role === 'client') {
      for (const stream of this.#streams.table.all()) {
        if (stream.id > ending.peerFinalId) this.#streams.cut(stream, errorCode.refusedStream, 'refused');
      }
    }
    this.#connection.events.onGoaway(this.#connection, lastId, code);
    ending.closeWhenIdle();
    return 0;
  }

  #onWindowUpdate(id: number, b: Buffer, start: number, end: number): number {
    if (end - start !== 4) return errorCode.frameSizeError;
    const streams = this.#streams;
    const sender = this.#sender;
    const stat = streams.guard.windowUpdate(sender.out.dataFrames);
    if (stat !== null) return this.#ending.flood(stat);
    const bytes = readUint31(b, start);
    if (id === 0) {
      if (bytes === 0) return errorCode.protocolError;
      return sender.growConnection(bytes) ? 0 : errorCode.flowControlError;
    }
    if (streams.isIdle(id)) return errorCode.protocolError;
    const stream = streams.table.get(id);
    if (stream === null) return 0;
    if (bytes === 0) return streams.fail(stream, errorCode.protocolError);
    return sender.growStream(stream, bytes) ? 0 : streams.fail(stream, errorCode.flowControlError);
  }
}
