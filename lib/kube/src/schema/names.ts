/** The names of Kubernetes, by the rules its API server holds them to. */
import { integer, type Schema, text } from './schema.ts';

/** RFC 1123 label: a namespace. */
export const label: Schema<string> = text({
  noun: 'a name of lower-case letters, digits and "-", up to 63 characters',
  pattern: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  maxLength: 63,
});

/** RFC 1123 subdomain: most object names, service accounts among them. */
export const subdomain: Schema<string> = text({
  noun: 'a name of lower-case letters, digits, "-" and ".", up to 253 characters',
  pattern: /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
  maxLength: 253,
});

export const portNumber: Schema<number> = integer(1, 65535);
