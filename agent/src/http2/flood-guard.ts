/**
 * Counts what a peer can send at no cost to itself and at ours, by Envoy's rules (protocol_constraints.cc and
 * overload.premature_reset_*). Pure: each method says which limit is broken, by the name of its statistic.
 */
import type { Http2Stat } from './counters.ts';
import type { Http2Options } from './options.ts';

export class FloodGuard {
  readonly #options: Http2Options;
  #emptyFrames = 0;
  #priorityFrames = 0;
  #windowUpdates = 0;
  #streams = 0;
  #ended = 0;
  #premature = 0;

  constructor(options: Http2Options) {
    this.#options = options;
  }

  streamOpened(): void {
    this.#streams++;
  }

  /** A HEADERS, CONTINUATION or DATA frame: whether it is an empty one that ends nothing. */
  frame(empty: boolean): Http2Stat | null {
    if (!empty) {
      this.#emptyFrames = 0;
      return null;
    }
    const max = this.#options.maxConsecutiveInboundFramesWithEmptyPayload;
    return ++this.#emptyFrames > max ? 'inbound_empty_frames_flood' : null;
  }

  priority(): Http2Stat | null {
    const max = this.#options.maxInboundPriorityFramesPerStream * (1 + this.#streams);
    return ++this.#priorityFrames > max ? 'inbound_priority_frames_flood' : null;
  }

  windowUpdate(dataFramesSent: number): Http2Stat | null {
    const perFrame = this.#options.maxInboundWindowUpdateFramesPerDataFrameSent;
    const max = 5 + 2 * (this.#streams + perFrame * dataFramesSent);
    return ++this.#windowUpdates > max ? 'inbound_window_update_frames_flood' : null;
  }

  /**
   * A stream of the peer is over; `premature` when it was cut young and unanswered, by the peer or for its fault. True
   * when more than half of all are so, as soon as that can no longer change before the limit is reached.
   */
  streamEnded(premature: boolean): boolean {
    this.#ended++;
    if (!premature) return false;
    this.#premature++;
    return this.#premature * 2 >= Math.max(this.#ended, this.#options.prematureResetTotalStreamCount);
  }
}
