/** What every stream that tests make has, whatever carries its bytes. */
import { plainInfo } from '../../http/testing/fake-stream.ts';
import type { Edge } from '../../net/edge.ts';
import type { ConnectionInfo, Stream, StreamHandler } from '../../net/stream.ts';

export abstract class BareStream implements Stream {
  info: ConnectionInfo = plainInfo;
  failure = '';
  dead = false;
  readPaused = false;
  readonly edge: Edge | null = null;
  bytesReceived = 0;
  bytesSent = 0;
  lastActiveMs = 0;
  abstract handler: StreamHandler;
  abstract readonly queued: number;

  abstract read(offset: number, capacity: number): number;
  abstract more(n: number, capacity: number): boolean;
  abstract write(buffer: Uint8Array, start: number, end: number): boolean;
  abstract resumeRead(): void;
  abstract endWrite(): void;
  abstract closeAfterFlush(deadlineMs: number): void;
  abstract close(): void;
  abstract reset(): void;

  pauseRead(): void {
    this.readPaused = true;
  }

  expectEnd(): void {}

  delivered(): 'unknown' {
    return 'unknown';
  }

  cork(): void {}

  uncork(): void {}
}
