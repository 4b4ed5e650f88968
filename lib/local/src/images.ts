/**
 * Image names on a machine that pulls none: the agent's image is this repository's agent, any other image runs the
 * command that the pod gives, with the host's programs.
 */
import fs from 'node:fs';
import path from 'node:path';
import { UserError } from '@chainmail/runtime';
import type { Bind } from './launch-script.ts';
import type { Container } from './pod.ts';

/** Where a container finds the repository: neutral, since a clone may lie below a folder only root may enter. */
export const repositoryMount = '/opt/chainmail';

/** The image name the injector is given here. */
export const agentImage = 'chainmail.dev/agent:local';

const demoImage = /^chainmail\.dev\/demo([:/@-]|$)/;

export interface Image {
  readonly argv: readonly string[];
  readonly workingDir: string;
  readonly binds: readonly Bind[];
}

export function nodeFolder(): string {
  return `node_modules/node-linux-${process.arch}/bin`;
}

/** The repository this code runs from. */
export function repositoryRoot(): string {
  return path.resolve(import.meta.dirname, '../../..');
}

/** Other users must be able to read the files, the agent runs as one; says what to do when they cannot. */
export function checkReadable(root: string): void {
  for (const file of ['.', 'agent/src', 'node_modules', nodeFolder(), `${nodeFolder()}/node`]) {
    const stat = fs.statSync(path.join(root, file), { throwIfNoEntry: false });
    if (stat === undefined) {
      throw new UserError('LOCAL_NOT_SET_UP', `${path.join(root, file)} is missing`, { hint: 'npm run setup' });
    }
    if ((stat.mode & 0o005) !== 0o005) {
      throw new UserError('LOCAL_UNREADABLE', `other users cannot read ${path.join(root, file)}; the agent is one`, {
        hint: `chmod -R go+rX ${root}`,
      });
    }
  }
}

export function resolveImage(container: Container, root: string): Image {
  const image = container.image ?? '';
  const args = container.args ?? [];
  const demo = demoImage.test(image);
  const app = path.join(root, 'manifests/demo/app');
  const binds = demo ? [{ source: app, target: '/app', readOnly: true, file: false }] : [];
  if (container.command !== undefined && container.command.length > 0) {
    return { argv: [...container.command, ...args], workingDir: demo ? '/app' : '/', binds };
  }
  if (image === agentImage) {
    return { argv: [`${repositoryMount}/node_modules/.bin/chainmail-agent`, ...args], workingDir: '/', binds };
  }
  throw new UserError(
    'LOCAL_NO_COMMAND',
    `container ${container.name}: image '${image}' is not pulled on this machine`,
    {
      hint: 'give the container a command; it runs with the programs of this machine, and `node` is Node 26',
    },
  );
}
