/** A command's result as a table for people, or whole as JSON or YAML for programs. Pure. */
import { stringify } from 'yaml';

export const outputFormats = ['table', 'json', 'yaml'] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** @param table called only when a table is wanted */
export function render(result: unknown, format: OutputFormat, table: () => string): string {
  switch (format) {
    case 'json':
      return JSON.stringify(result, null, 2);
    case 'yaml':
      return stringify(result).trimEnd();
    case 'table':
      return table();
  }
}
