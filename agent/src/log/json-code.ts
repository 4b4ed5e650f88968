/**
 * Writes the code that writes a JSON log line: what lies between two values becomes whole words in the code, and each
 * value is read where it is, without asking what it is. Half the time of the loop that json-format.ts has for every
 * format, and a line has twenty values (ADR 0040).
 *
 * Nothing that came with configuration is in the source: it consists of the words below and of whole numbers, everything
 * else is handed in. The code only knows ordinary lines. It gives up where a line is too long for its room or must be
 * shortened, and the loop writes that line.
 */
import { ByteRange, type LogRecord } from '../http/request-view.ts';
import { type LineBuffer, littleEndian, Piece } from './line-buffer.ts';
import type { Operator } from './operators.ts';
import { type NumberField, numberOf, type StringField, stringOf } from './record-fields.ts';
import { longestPiece, RepeatedText } from './repeated-text.ts';

/** A value and the constant text before it; null where only `write` knows how. */
export interface LineStep {
  readonly lead: string;
  readonly operator: Operator | null;
  readonly write: (line: LineBuffer, record: LogRecord) => void;
}

/** False, with the line as it was or spoiled, when it could not be written. */
export type QuickWriter = (line: LineBuffer, record: LogRecord) => boolean;

/** Fields that are nothing but a property. `q` is the request or null. */
const plainNumbers: Partial<Record<NumberField, string>> = {
  RESPONSE_CODE: 'r.status',
  BYTES_RECEIVED: 'r.bytesReceived',
  BYTES_SENT: 'r.bytesSent',
  DURATION: 'r.durationMs',
  REQUEST_DURATION: 'r.requestDurationMs',
  RESPONSE_DURATION: 'r.responseDurationMs',
  UPSTREAM_REQUEST_ATTEMPT_COUNT: 'r.attempts',
};
const plainTexts: Partial<Record<StringField, string>> = {
  PROTOCOL: 'q === null ? null : q.protocol',
  RESPONSE_CODE_DETAILS: 'q === null ? null : r.details',
  RESPONSE_FLAGS: "r.flags === '' ? '-' : r.flags",
  UPSTREAM_HOST: 'r.upstreamHost',
  UPSTREAM_REMOTE_ADDRESS: 'r.upstreamHost',
  UPSTREAM_CLUSTER: 'r.upstreamCluster',
  UPSTREAM_CLUSTER_RAW: 'r.upstreamCluster',
  UPSTREAM_PEER_URI_SAN: 'r.upstreamPeerPrincipal',
  ROUTE_NAME: 'r.routeName',
  VIRTUAL_CLUSTER_NAME: 'r.virtualCluster',
  DOWNSTREAM_PEER_URI_SAN: 'r.connection.peerPrincipal',
  DOWNSTREAM_LOCAL_URI_SAN: 'r.connection.localPrincipal',
  REQUESTED_SERVER_NAME: 'r.connection.sni',
};

const nullText = 'null';

type Maker = (...values: unknown[]) => QuickWriter;

/** By code: a listener that comes again, changed, goes on with what V8 has learnt of it. */
const makers = new Map<string, Maker>();
const maxMakers = 32;

function makerOf(names: readonly string[], body: string): Maker {
  const known = makers.get(body);
  if (known !== undefined) return known;
  if (makers.size >= maxMakers) makers.clear();
  const maker = new Function(...names, `return (line, r) => {${body}};`) as Maker;
  makers.set(body, maker);
  return maker;
}

export function writeLineCode(steps: readonly LineStep[], last: string): QuickWriter {
  return new LineCode().of(steps, last);
}

class LineCode {
  readonly #names: string[] = [];
  readonly #values: unknown[] = [];
  readonly #code: string[] = [];
  /** Good for one value. */
  readonly #range = new ByteRange();
  /** Bytes that the rest of the line takes at most. */
  #rest = 0;

  of(steps: readonly LineStep[], last: string): QuickWriter {
    this.#rest = steps.reduce((sum, step) => sum + roomOf(step), last.length * 3 + 4);
    const room = this.#rest;
    for (const step of steps) {
      this.#constant(step.lead);
      this.#rest -= roomOf(step);
      if (step.operator === null) this.#slowly(`${this.#given(step.write)}(line, r)`);
      else this.#value(step.operator);
    }
    this.#constant(last);
    const body = `
      const q = r.request, { view, end } = line;
      let { at } = line;
      if (at + ${room} > end) return false;
      ${this.#code.join('\n')}
      line.at = at;
      return true;`;
    return makerOf(this.#names, body)(...this.#values);
  }

  /** A name for something that the code needs. */
  #given(value: unknown): string {
    const name = `v${this.#values.length}`;
    this.#names.push(name);
    this.#values.push(value);
    return name;
  }

  /** As words; the last may have some bytes too many, which what comes next overwrites. */
  #constant(text: string): void {
    const { words, size } = Piece.of(text);
    const stores = [...words].map((word, i) => `view.setInt32(at + ${i * 4}, ${word}, ${littleEndian});`);
    this.#code.push(`${stores.join(' ')} at += ${size};`);
  }

  #value(operator: Operator): void {
    switch (operator.kind) {
      case 'number':
        this.#number(
          plainNumbers[operator.field] ?? `${this.#given((r: LogRecord) => numberOf(operator.field, r))}(r)`,
        );
        return;
      case 'string':
        this.#text(
          plainTexts[operator.field] ?? `${this.#given((r: LogRecord) => stringOf(operator.field, r))}(r)`,
          null,
        );
        return;
      case 'computed':
        this.#text(`${this.#given(operator.read)}(r)`, operator.next);
        return;
      case 'request-header':
      case 'response-header':
        this.#header(operator);
    }
  }

  #number(expression: string): void {
    this.#code.push(`{ const n = ${expression}; if (!(n >= 0)) {`);
    this.#constant(nullText);
    this.#code.push('} else { line.at = at; line.number(n); at = line.at; } }');
  }

  #text(expression: string, next: Operator | null): void {
    const texts = this.#given(new RepeatedText());
    this.#code.push(`{ const t = ${expression}; if (t === null) {`);
    this.#missing(next);
    this.#code.push(`} else if (t === '') {`);
    this.#constant(nullText);
    this.#code.push(`} else if (t === ${texts}.kept) {
        const { words, size } = ${texts}.piece;
        for (let i = 0; i < words.length; i++) view.setInt32(at + i * 4, words[i], ${littleEndian});
        at += size;
      } else {`);
    this.#slowly(`${texts}.write(line, t)`);
    this.#code.push('} }');
  }

  #header(operator: Operator & { readonly kind: 'request-header' | 'response-header' }): void {
    const place = this.#given(this.#range);
    const wanted = `${this.#given(operator.name)}, ${place}`;
    const found =
      operator.kind === 'request-header' ? `q !== null && q.locate(${wanted})` : `r.locateResponse(${wanted})`;
    this.#code.push(`if (!(${found})) {`);
    this.#missing(operator.next);
    this.#code.push(`} else if (${place}.end === ${place}.start) {`);
    this.#constant(nullText);
    this.#code.push('} else {');
    this.#slowly(`line.jsonBytes(${place}.bytes, ${place}.start, ${place}.end)`);
    this.#code.push('}');
  }

  /** An operator that is asked only when the one before it has nothing. */
  #missing(next: Operator | null): void {
    if (next === null) this.#constant(nullText);
    else this.#value(next);
  }

  /** A value that the line writes itself, of whatever length. */
  #slowly(call: string): void {
    this.#code.push(`line.at = at; ${call}; at = line.at;
      if (line.overflowed || at + ${this.#rest} > end) return false;`);
  }
}

/** Generous, for what is written without asking: constants, kept texts, numbers. The rest is asked for as it comes. */
function roomOf({ lead }: LineStep): number {
  return lead.length * 3 + 4 + longestPiece + 4;
}
