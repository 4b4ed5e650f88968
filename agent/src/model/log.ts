/** Where access-log lines go and what is in them. */

export interface AccessLogSpec {
  /** A path, `/dev/stdout` or `/dev/stderr`; the main thread opens it. */
  readonly path: string;
  readonly format: AccessLogFormatSpec;
}

export type AccessLogFormatSpec =
  | { readonly kind: 'text'; readonly format: string }
  /** Keys are written in sorted order, as Envoy does. */
  | { readonly kind: 'json'; readonly fields: JsonLogFields; readonly omitEmpty: boolean };

export interface JsonLogFields {
  readonly [key: string]: string | JsonLogFields;
}
