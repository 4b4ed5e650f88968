/** `meshctl logs`: what an agent, another container of a pod, or one of the mesh's own programs wrote. */

import { StringDecoder } from 'node:string_decoder';
import { UserError } from '@chainmail/runtime';
import { Args, Command, Flags } from '@oclif/core';
import { namespaceFlag } from '../flags.ts';
import { type Instance, isInstance, type MeshClient, type MeshPod, podLabel, programs } from '../mesh/mesh-client.ts';
import { selectPods } from '../mesh/select.ts';
import { openMesh, targetFlags } from '../mesh/target.ts';

/** Puts a name before each line, whole lines only, so that several logs do not run into one another. */
export class LinePrefix {
  readonly #prefix: string;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  lines(data: Buffer): string {
    const parts = `${this.#rest}${this.#decoder.write(data)}`.split('\n');
    this.#rest = parts.pop() ?? '';
    return parts.map((l) => `${this.#prefix}${l}\n`).join('');
  }

  /** What came without an end of line. */
  end(): string {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = '';
    return rest === '' ? '' : `${this.#prefix}${rest}\n`;
  }
}

async function sources(
  mesh: MeshClient,
  reference: string,
  namespace: string | undefined,
  container: string | undefined,
): Promise<readonly (Instance | MeshPod)[]> {
  const program = programs.find((p) => p === reference);
  if (program !== undefined && namespace === undefined) {
    const instances = await mesh.instances(program);
    if (instances.length > 0) return instances;
    throw new UserError('POD_NOT_FOUND', `no ${program} runs in ${mesh.where}`, { hint: 'meshctl check tells why' });
  }
  const pods = selectPods(await mesh.pods(), reference, namespace);
  const wanted = container === undefined ? pods.filter((p) => p.meshed) : pods;
  if (wanted.length > 0) return wanted;
  throw new UserError('POD_NOT_MESHED', `${pods.map(podLabel).join(', ')} has no agent`, {
    hint: 'name one of its containers with -c',
  });
}

export default class Logs extends Command {
  static override description = "print the log of a pod's agent or container, or of ca, control, injector";
  static override examples = ['meshctl logs -f shop/web', 'meshctl logs control', 'meshctl logs web -c web --tail 20'];
  static override args = {
    pod: Args.string({ required: true, description: 'pod, Deployment, or ca, control, injector' }),
  };
  static override flags = {
    ...targetFlags,
    namespace: namespaceFlag,
    container: Flags.string({ char: 'c', description: 'container of the pod; its agent by default' }),
    follow: Flags.boolean({ char: 'f', default: false, description: 'go on with what is written from now on' }),
    tail: Flags.integer({ default: 200, min: 0, description: 'how many lines to begin with' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Logs);
    const mesh = await openMesh(flags);
    const from = await sources(mesh, args.pod, flags.namespace, flags.container);
    const end = new AbortController();
    process.once('SIGINT', () => end.abort());
    const { container, tail: tailLines, follow } = flags;
    const options = { tailLines, follow, ...(container === undefined ? {} : { container }) };
    const show = async (of: Instance | MeshPod): Promise<void> => {
      if (from.length === 1) return mesh.logs(of, options, (data) => void process.stdout.write(data), end.signal);
      const prefix = new LinePrefix(`[${isInstance(of) ? of.name : podLabel(of)}] `);
      await mesh.logs(of, options, (data) => void process.stdout.write(prefix.lines(data)), end.signal);
      process.stdout.write(prefix.end());
    };
    if (follow) await Promise.all(from.map(show));
    else for (const of of from) await show(of);
    mesh.close();
  }
}
