/** Where access-log lines go and what is in them. */
import type { HeaderMatchSpec } from './http.ts';

export interface AccessLogSpec {
  /** A path, `/dev/stdout` or `/dev/stderr`; the main thread opens it. */
  readonly path: string;
  readonly format: AccessLogFormatSpec;
  /** Which records are written; absent or null is all. */
  readonly filter?: LogFilterSpec | null;
}

export type LogFilterSpec =
  | { readonly kind: 'status' | 'duration'; readonly op: 'eq' | 'ge' | 'le' | 'ne'; readonly value: number }
  | { readonly kind: 'header'; readonly header: HeaderMatchSpec }
  | { readonly kind: 'flags'; readonly flags: readonly string[] }
  /** A share of 0..1, by chance. */
  | { readonly kind: 'sampled'; readonly share: number }
  | { readonly kind: 'and' | 'or'; readonly of: readonly LogFilterSpec[] };

export type AccessLogFormatSpec =
  | { readonly kind: 'text'; readonly format: string }
  /** Keys are written in sorted order, as Envoy does. */
  | { readonly kind: 'json'; readonly fields: JsonLogFields; readonly omitEmpty: boolean };

export interface JsonLogFields {
  readonly [key: string]: string | JsonLogFields;
}
