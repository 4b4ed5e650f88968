/** The processors images are made for, in the words of each system that is asked. */
export const architectures = ['amd64', 'arm64'] as const;
export type Architecture = (typeof architectures)[number];

/** As Node and npm call it. */
export const nodeName: Readonly<Record<Architecture, string>> = { amd64: 'x64', arm64: 'arm64' };

/** Of this machine. */
export function hostArchitecture(): Architecture {
  return process.arch === 'arm64' ? 'arm64' : 'amd64';
}
