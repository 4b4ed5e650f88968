/** Flags that several commands share, so that they mean and read the same everywhere. */
import { Errors, Flags } from '@oclif/core';
import { exitCode } from './exit-code.ts';
import { outputFormats } from './output/render.ts';

export const outputFlag = Flags.option({
  char: 'o',
  options: outputFormats,
  default: 'table' as const,
  description: 'how to print the result',
});

export const nameFlag = Flags.string({
  default: 'dev',
  description: 'which local mesh; several can run side by side',
});

/** Which cluster, as kubectl has it. */
export const clusterFlags = {
  kubeconfig: Flags.string({ description: 'kubeconfig file; KUBECONFIG or ~/.kube/config by default' }),
  context: Flags.string({ description: 'context of the kubeconfig; its current one by default' }),
} as const;

export const namespaceFlag = Flags.string({ char: 'n', description: 'namespace of the pod' });
export const containerFlag = Flags.string({ char: 'c', description: 'container; the first of the pod by default' });

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms`, `60s`, `24h`, `90d` in milliseconds; undefined when it is not a duration. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  const unit = units[match?.[2] ?? ''];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}

const misuse = (message: string): Error => new Errors.CLIError(message, { exit: exitCode.misuse });

/** A duration with a unit, as milliseconds; `min` is the least that is taken, 0 by default. */
export const durationFlag = Flags.custom<number, { min?: number }>({
  parse: async (input, _context, { min = 0 }) => {
    const value = parseDuration(input);
    if (value === undefined) throw misuse(`'${input}' is not a duration such as 500ms, 60s, 5m, 24h`);
    if (value < min) throw misuse(`${input} is too short; the least is ${min}ms`);
    return value;
  },
});
