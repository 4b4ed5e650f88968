/** What meshctl's exit codes mean; scripts rely on them. */
export const exitCode = {
  ok: 0,
  /** The command ran and the answer is no, or it failed. */
  failed: 1,
  /** Wrong flags or arguments. */
  misuse: 2,
  /** There is nothing to talk to: no mesh is up under that name. */
  unreachable: 3,
} as const;
