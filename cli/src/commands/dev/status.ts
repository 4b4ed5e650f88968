/** `meshctl dev status`: components, pods and Services of a local mesh; exit code 1 while not everything is ready. */
import { DevClient, readinessOf } from '@chainmail/local';
import { Command } from '@oclif/core';
import { statusTable } from '../../dev-status-table.ts';
import { exitCode } from '../../exit-code.ts';
import { nameFlag, outputFlag } from '../../flags.ts';
import { render } from '../../output/render.ts';

export default class DevStatus extends Command {
  static override description = 'show components, pods and Services of a local mesh';
  static override flags = { name: nameFlag, output: outputFlag() };

  override async run(): Promise<void> {
    const { flags } = await this.parse(DevStatus);
    const status = await new DevClient(flags.name).status();
    this.log(render(status, flags.output, () => statusTable(status, Date.now())));
    process.exitCode = readinessOf(status).state === 'ready' ? exitCode.ok : exitCode.failed;
  }
}
