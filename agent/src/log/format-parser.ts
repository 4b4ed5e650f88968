/** The grammar of Envoy's format strings: text, `%%`, and `%NAME(PARAMETERS):LENGTH%`. */
import { UserError } from '@chainmail/runtime/errors';

export type FormatToken =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'operator';
      readonly name: string;
      /** What stands in the parentheses, null without any. */
      readonly parameters: string | null;
      /** At most so many characters of the value; null for all. */
      readonly maxLength: number | null;
    };

const operator = /%(?:%|([A-Z0-9_]+)(?:\(([^()]*)\))?(?::([0-9]{1,6}))?%)/y;

/**
 * Splits a format string. Neighbouring text comes as one token.
 * @throws UserError LOG_FORMAT_INVALID with the position
 */
export function parseFormat(format: string): readonly FormatToken[] {
  const tokens: FormatToken[] = [];
  let text = '';
  for (let at = 0; at < format.length; ) {
    const percent = format.indexOf('%', at);
    text += format.slice(at, percent < 0 ? format.length : percent);
    if (percent < 0) break;
    operator.lastIndex = percent;
    const match = operator.exec(format);
    if (match === null) throw invalid(format, percent);
    at = operator.lastIndex;
    if (match[1] === undefined) {
      text += '%';
      continue;
    }
    if (text !== '') tokens.push({ kind: 'text', text });
    text = '';
    tokens.push(operatorToken(match[1], match[2], match[3]));
  }
  if (text !== '') tokens.push({ kind: 'text', text });
  return tokens;
}

function operatorToken(name: string, parameters: string | undefined, length: string | undefined): FormatToken {
  return {
    kind: 'operator',
    name,
    parameters: parameters ?? null,
    maxLength: length === undefined ? null : Number(length),
  };
}

function invalid(format: string, at: number): UserError {
  return new UserError('LOG_FORMAT_INVALID', `Incorrect configuration: ${format}. No operator at position ${at}`, {
    hint: 'write %NAME%, %NAME(PARAMETERS)% or %NAME(PARAMETERS):LENGTH%, and %% for a percent sign',
  });
}
