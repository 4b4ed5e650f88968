/** `meshctl dev down`: ends a local mesh, or removes what a crashed one has left. */
import { checkHost, stopLocalMesh } from '@chainmail/local';
import { Command } from '@oclif/core';
import { nameFlag } from '../../flags.ts';

export default class DevDown extends Command {
  static override description = 'end a local mesh and remove everything it made, also after a crash';
  static override flags = { name: nameFlag };

  override async run(): Promise<void> {
    const { flags } = await this.parse(DevDown);
    checkHost();
    const there = await stopLocalMesh(flags.name);
    this.log(there ? 'everything is gone' : `there was no local mesh '${flags.name}'`);
  }
}
