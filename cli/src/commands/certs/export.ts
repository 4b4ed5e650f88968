/**
 * `meshctl certs export POD`: a NEW certificate of the pod's identity with a key of its own, as PEM or PKCS#12, for a
 * tool that has to speak to the mesh by hand. The agent's own key never leaves it; the CA's log shows the issue.
 */
import fs from 'node:fs';
import path from 'node:path';
import { exportPkcs12 } from '@chainmail/pki/pkcs12';
import { UserError } from '@chainmail/runtime';
import { Args, Command, Flags } from '@oclif/core';
import { namespaceFlag } from '../../flags.ts';
import { selectPods } from '../../mesh/select.ts';
import { openMesh, targetFlags } from '../../mesh/target.ts';

/** What `chainmail-agent request-certificate` prints. */
interface Issued {
  readonly spiffeId: string;
  readonly keyPem: string;
  readonly chainPem: string;
  readonly bundlePem: string;
  readonly notAfter: string;
}

function passwordFrom(file: string | undefined): string {
  if (file === undefined) {
    throw new UserError('EXPORT_NO_PASSWORD', 'a PKCS#12 file needs a password', {
      hint: 'put it in a file and pass --password-file FILE',
    });
  }
  const password = fs.readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  if (password === '')
    throw new UserError('EXPORT_NO_PASSWORD', `${file} is empty`, { hint: 'write a password into it' });
  return password;
}

const exists = (file: string): UserError =>
  new UserError('EXPORT_EXISTS', `${file} exists already`, { hint: 'remove it, or choose another --out' });

/** Asked before a certificate is issued for nothing. */
function checkWritable(file: string): void {
  fs.accessSync(path.dirname(file), fs.constants.W_OK);
  if (fs.existsSync(file)) throw exists(file);
}

/** Only its owner may read it, and nothing that is there is overwritten. */
function writeSecret(file: string, content: string | Uint8Array): void {
  try {
    fs.writeFileSync(file, content, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw exists(file);
  }
}

export default class CertsExport extends Command {
  static override description = "issue a new certificate of a pod's identity and write it with its key to a file";
  static override examples = [
    'meshctl certs export shop/web --out web.pem',
    'meshctl certs export shop/web --format pkcs12 --password-file secret.txt --out web.p12',
  ];
  static override args = { pod: Args.string({ required: true, description: 'pod, namespace/pod, or Deployment' }) };
  static override flags = {
    ...targetFlags,
    namespace: namespaceFlag,
    format: Flags.option({ options: ['pem', 'pkcs12'] as const, default: 'pem' as const })({
      description: 'pem: key, chain and trust anchors in one file',
    }),
    out: Flags.string({ required: true, description: 'file to write, readable by its owner only' }),
    'password-file': Flags.string({ description: 'file with the password of a PKCS#12 file' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(CertsExport);
    const password = flags.format === 'pkcs12' ? passwordFrom(flags['password-file']) : '';
    const mesh = await openMesh(flags);
    const [pod] = selectPods(await mesh.pods(), args.pod, flags.namespace).filter((p) => p.meshed);
    if (pod === undefined) {
      throw new UserError('POD_NOT_MESHED', `${args.pod} has no agent, so it has no identity`, {
        hint: 'label its namespace with chainmail.dev/inject: enabled and start it again',
      });
    }
    checkWritable(flags.out);
    const issued = JSON.parse(await mesh.execAgent(pod, ['chainmail-agent', 'request-certificate'])) as Issued;
    const { keyPem, chainPem, bundlePem } = issued;
    const content =
      flags.format === 'pem'
        ? `${keyPem.trim()}\n${chainPem.trim()}\n${bundlePem.trim()}\n`
        : exportPkcs12({
            chainPem: `${chainPem.trim()}\n${bundlePem}`,
            keyPem,
            password,
            friendlyName: issued.spiffeId,
          });
    writeSecret(flags.out, content);
    this.log(`${flags.out}: ${issued.spiffeId}, valid until ${issued.notAfter}`);
  }
}
