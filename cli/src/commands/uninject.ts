/** `meshctl uninject`: takes the agent out again and leaves what was there before. */
import { uninjectText } from '@chainmail/injector';
import { Command, Flags } from '@oclif/core';
import { exitCode } from '../exit-code.ts';
import { inFile, printManifest, readManifest } from '../manifest-command.ts';

export default class Uninject extends Command {
  static override description = 'take the agent out of the workloads of a manifest';
  static override examples = ['meshctl uninject -f injected.yaml'];
  static override flags = {
    filename: Flags.string({ char: 'f', required: true, description: 'file of YAML or JSON, - for stdin' }),
    quiet: Flags.boolean({ char: 'q', description: 'no report on stderr' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Uninject);
    const text = await readManifest(flags.filename);
    const result = inFile(flags.filename, () => uninjectText(text));
    process.exitCode = printManifest(result, flags.quiet) ? exitCode.ok : exitCode.failed;
  }
}
