/** What became of the responses of one type on one stream: the one under way, the last good one, the refused one. */
import type { ResourceType } from '../snapshot/piece.ts';
import type { Rejection, StreamEvents, TypeState } from './agent-stream.ts';

/** What both protocols' requests say of an earlier response. */
interface Answer {
  readonly responseNonce: string;
  readonly errorDetail?: { readonly message: string } | undefined;
}

interface InFlight {
  readonly nonce: string;
  readonly version: string;
  readonly names: readonly string[];
}

export class ResponseState {
  inFlight: InFlight | undefined;
  rejection: Rejection | undefined;
  readonly #type: ResourceType;
  readonly #events: StreamEvents;
  #acknowledged: string | undefined;

  constructor(type: ResourceType, events: StreamEvents) {
    this.#type = type;
    this.#events = events;
  }

  /** Takes what the client says of the response under way; an answer to something older says nothing. */
  settle({ responseNonce, errorDetail }: Answer): void {
    const flight = this.inFlight;
    if (flight === undefined || flight.nonce !== responseNonce) return;
    this.inFlight = undefined;
    const { version, names } = flight;
    if (errorDetail === undefined) {
      this.#acknowledged = version;
      this.rejection = undefined;
      this.#events.acknowledged(this.#type, version);
      return;
    }
    this.rejection = { type: this.#type, version, names, reason: errorDetail.message };
    this.#events.rejected(this.rejection);
  }

  /** For whoever asks about the stream. names: what the client has subscribed to. */
  describe(names: readonly string[]): TypeState {
    return {
      type: this.#type,
      names,
      acknowledged: this.#acknowledged,
      rejection: this.rejection,
      pending: this.inFlight !== undefined,
    };
  }
}
