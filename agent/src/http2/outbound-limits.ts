/**
 * What waits for a peer that asks, but does not read: Envoy's limits of outbound frames (protocol_constraints.cc), their
 * gauges, and the answers that a peer can ask for at will.
 * Invariant: control frames beyond their limit are a flood only when the socket does not take them.
 */
import type { Http2Connection } from './connection.ts';
import { countStat } from './counters.ts';
import type { Ending } from './ending.ts';
import { flag } from './frame.ts';
import type { FrameWriter } from './frame-writer.ts';

export class OutboundLimits {
  readonly #connection: Http2Connection;
  readonly #out: FrameWriter;
  readonly #ending: Ending;
  #reportedFrames = 0;
  #reportedControl = 0;

  constructor(connection: Http2Connection, out: FrameWriter, ending: Ending) {
    this.#connection = connection;
    this.#out = out;
    this.#ending = ending;
  }

  /** An acknowledgement, which the peer has asked for. */
  acknowledge(type: number, b: Buffer, start: number, end: number): number {
    this.#out.control(type, flag.ack, b, start, end);
    this.relieve();
    this.#connection.touch();
    return 0;
  }

  /** Control frames pile up within a turn: they are written now, and it is a flood when the socket does not take them. */
  relieve(): void {
    if (this.#out.controlFrames <= this.#connection.options.maxOutboundControlFrames) return;
    this.#out.flush();
    this.check();
  }

  /** To be called when everything was flushed. */
  check(): void {
    const { frames, controlFrames } = this.#out;
    const { maxOutboundFrames, maxOutboundControlFrames } = this.#connection.options;
    if (controlFrames > maxOutboundControlFrames) this.#ending.flood('outbound_control_flood');
    else if (frames > maxOutboundFrames) this.#ending.flood('outbound_flood');
    else return;
    this.#ending.abandoned = true;
  }

  /** Brings the gauges up to date. */
  report(): void {
    const { frames, controlFrames } = this.#out;
    const { counters } = this.#connection;
    if (frames !== this.#reportedFrames) {
      countStat(counters, 'outbound_frames_active', frames - this.#reportedFrames);
    }
    if (controlFrames !== this.#reportedControl) {
      countStat(counters, 'outbound_control_frames_active', controlFrames - this.#reportedControl);
    }
    this.#reportedFrames = frames;
    this.#reportedControl = controlFrames;
  }
}
