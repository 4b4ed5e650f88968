/** A descriptor whose options can be had without the descriptor of its descriptor. */
export interface WithOptions {
  /** MessageOptions, FieldOptions or OneofOptions; undefined where the file gives none. */
  readonly optionBytes: Uint8Array | undefined;
}
