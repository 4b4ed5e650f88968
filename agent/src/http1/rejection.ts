/** Why a message is refused, and what the sender is told. Statuses and texts are Envoy's. */

export interface Rejection {
  readonly status: 400 | 413 | 426 | 431 | 501;
  /** Body is the reason phrase; false sends none. */
  readonly phraseBody: boolean;
  /** %RESPONSE_CODE_DETAILS%. */
  readonly details: string;
  /** Counted as a protocol error of the codec, flag DPE. */
  readonly protocolError: boolean;
}

/** Codes are negative: the parsers return them where they would return a length. */
export const rejected = {
  malformed: -1,
  lowVersion: -2,
  tooLarge: -3,
  transferEncoding: -4,
  missingHost: -5,
  fragment: -6,
  badConnectionHeader: -7,
  tooManyHeaders: -8,
  badPath: -9,
  underscore: -10,
} as const;

const bad = { status: 400, phraseBody: true, protocolError: true } as const;

const table: Readonly<Record<number, Rejection>> = {
  [rejected.malformed]: { ...bad, details: 'http1.codec_error' },
  [rejected.lowVersion]: { status: 426, phraseBody: true, details: 'low_version', protocolError: false },
  [rejected.tooLarge]: { status: 431, phraseBody: true, details: 'http1.headers_too_large', protocolError: true },
  [rejected.tooManyHeaders]: { status: 431, phraseBody: true, details: 'http1.too_many_headers', protocolError: true },
  [rejected.transferEncoding]: {
    status: 501,
    phraseBody: true,
    details: 'http1.invalid_transfer_encoding',
    protocolError: true,
  },
  [rejected.missingHost]: { status: 400, phraseBody: false, details: 'missing_host_header', protocolError: false },
  [rejected.fragment]: { status: 400, phraseBody: false, details: 'path_normalization_failed', protocolError: false },
  [rejected.badPath]: { status: 400, phraseBody: false, details: 'path_normalization_failed', protocolError: false },
  [rejected.underscore]: { ...bad, details: 'http1.unexpected_underscore' },
  [rejected.badConnectionHeader]: { ...bad, phraseBody: false, details: 'http1.connection_header_rejected' },
};

/** The answer to a negative result of a parser. */
export function rejectionOf(code: number): Rejection {
  return table[code] ?? { ...bad, details: 'http1.codec_error' };
}
