/** What the suite may ask of a pod: requests and answers of the driver, plain JSON. */

export interface HttpCall {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A body of this many bytes of the pattern; absent: none. */
  readonly bodyBytes?: number;
  /** Sends the body chunked, with these trailers. */
  readonly trailers?: Readonly<Record<string, string>>;
  /** Over the connection of the last call with this name, which stays open. */
  readonly session?: string;
  readonly times?: number;
  readonly gapMs?: number;
}

export interface HttpAnswer {
  /** 0 when there was no answer. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly trailers: Readonly<Record<string, string | undefined>>;
  readonly bytes: number;
  readonly sha256: string;
  /** The beginning of the body. */
  readonly body: string;
  readonly error: string;
  readonly reused: boolean;
}

export interface TcpCall {
  readonly host: string;
  readonly port: number;
  /** Sent when connected, or after the first byte of the server with `serverFirst`. */
  readonly send?: string;
  /** This many bytes of the pattern are sent as well. */
  readonly bytes?: number;
  readonly serverFirst?: boolean;
  /** Ends its side after sending (the default); otherwise waits for the server to close. */
  readonly end?: boolean;
  readonly timeoutMs?: number;
}

export interface TcpAnswer {
  readonly connected: boolean;
  readonly received: string;
  /** How it ended: `end` is the server's FIN. */
  readonly outcome: 'end' | 'error' | 'timeout';
  readonly error: string;
}

export interface WebSocketCall {
  readonly url: string;
  /** Sizes of the messages, sent one after another without waiting. */
  readonly sizes: readonly number[];
}

export interface WebSocketAnswer {
  readonly intact: readonly boolean[];
  readonly closeCode: number;
  readonly error: string;
}

export interface Http2Call {
  readonly url: string;
  /** One stream each, all at once. */
  readonly paths: readonly string[];
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly bodyBytes?: number;
}

export interface Http2Answer {
  readonly status: number;
  readonly body: string;
  readonly trailers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly error: string;
}

export interface LoadCall {
  readonly url: string;
  /** Requests per second, alternately GET and POST, each with a key of its own. */
  readonly rate: number;
  /** Begins every key of this run. */
  readonly keys: string;
}

export interface LoadReport {
  readonly sent: number;
  readonly failures: readonly string[];
  /** Keys of the POSTs that were answered, by the pod that answered. */
  readonly answeredBy: Readonly<Record<string, number>>;
}

export interface DriverCalls {
  readonly http: { readonly call: HttpCall; readonly answer: readonly HttpAnswer[] };
  readonly tcp: { readonly call: TcpCall; readonly answer: TcpAnswer };
  readonly http2: { readonly call: Http2Call; readonly answer: readonly Http2Answer[] };
  readonly websocket: { readonly call: WebSocketCall; readonly answer: WebSocketAnswer };
  readonly 'load-start': { readonly call: LoadCall; readonly answer: object };
  readonly 'load-stop': { readonly call: object; readonly answer: LoadReport };
}
