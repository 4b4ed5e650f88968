/** `meshctl dev up`: starts a local mesh from a folder, shows how it comes up, and stays until Ctrl-C. */
import { type LocalMesh, startLocalMesh, waitUntilReady } from '@chainmail/local';
import { UserError } from '@chainmail/runtime';
import { Command, Flags } from '@oclif/core';
import { Progress } from '../../dev-progress.ts';
import { statusTable } from '../../dev-status-table.ts';
import { durationFlag, nameFlag } from '../../flags.ts';

const watchMs = 500;

export default class DevUp extends Command {
  static override description = 'run the pods and Services of a folder of YAML on this machine, with the whole mesh';
  static override examples = [
    'meshctl dev up -f manifests/demo',
    'meshctl dev up -f app --detach --certificate-ttl 60s',
  ];
  static override flags = {
    folder: Flags.string({ char: 'f', multiple: true, required: true, description: 'folder with YAML, watched' }),
    name: nameFlag,
    detach: Flags.boolean({ char: 'd', description: 'return once everything is ready' }),
    keep: Flags.boolean({ description: 'leave everything running when it does not get ready, to look at it' }),
    timeout: durationFlag({
      default: 120_000,
      defaultHelp: async () => '120s',
      description: 'how long it may take to get ready',
    }),
    'trust-domain': Flags.string({ description: 'trust domain of the identities' }),
    'certificate-ttl': durationFlag({ description: 'lifetime of certificates, such as 60s or 24h' }),
    'log-level': Flags.option({
      options: ['trace', 'debug', 'info', 'warn', 'error'] as const,
      default: 'info' as const,
    })({
      description: 'of agents and control plane',
    }),
    'without-mesh': Flags.boolean({ description: 'plain pods: no injector, CA, control plane and agents' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(DevUp);
    const ttl = flags['certificate-ttl'];
    const mesh = await startLocalMesh({
      dirs: flags.folder,
      name: flags.name,
      detach: flags.detach || flags.keep,
      withMesh: !flags['without-mesh'],
      mesh: {
        logLevel: flags['log-level'],
        ...(flags['trust-domain'] === undefined ? {} : { trustDomain: flags['trust-domain'] }),
        ...(ttl === undefined ? {} : { certificateTtlSeconds: Math.ceil(ttl / 1000) }),
      },
    });
    const interrupted = new Promise<void>((done) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => done());
    });
    const progress = new Progress();
    const say = (lines: readonly string[]): void => lines.forEach((l) => void this.log(l));
    const ready = waitUntilReady(mesh.client, flags.timeout, (s) => say(progress.lines(s)));
    const first = await Promise.race([
      ready.catch((error: unknown) => error),
      interrupted.then(() => 'interrupted' as const),
    ]);
    ready.catch(() => {}); // the answer of an interrupted start is of no interest
    if (first === 'interrupted') return this.#end(mesh);
    if (first instanceof Error) {
      if (!flags.keep) await mesh.stop();
      throw first;
    }
    this.log(`\n${statusTable(await mesh.client.status(), Date.now())}\n`);
    if (flags.detach) {
      this.log(`running; meshctl dev down${flags.name === 'dev' ? '' : ` --name ${flags.name}`} ends it`);
      return;
    }
    this.log('running; Ctrl-C ends it');
    await this.#stay(
      mesh,
      interrupted,
      () =>
        void mesh.client.status().then(
          (s) => say(progress.lines(s)),
          () => {},
        ),
    );
  }

  async #stay(mesh: LocalMesh, interrupted: Promise<void>, look: () => void): Promise<void> {
    const timer = setInterval(look, watchMs);
    const why = await Promise.race([interrupted.then(() => 'asked'), mesh.ended.then(() => 'ended')]);
    clearInterval(timer);
    await this.#end(mesh);
    if (why === 'ended')
      throw new UserError('LOCAL_ENDED', 'the local mesh has ended', {
        hint: 'somebody ran meshctl dev down, or it crashed',
      });
  }

  async #end(mesh: LocalMesh): Promise<void> {
    this.log('\nstopping');
    await mesh.stop();
    this.log('everything is gone');
  }
}
