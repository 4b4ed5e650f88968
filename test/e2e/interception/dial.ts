/** Run inside a network namespace: dials as a given uid from a given address, and prints who answered. */
import net from 'node:net';

interface Dial {
  readonly uid: number;
  readonly host: string;
  readonly port: number;
  readonly from?: string;
}

function dial({ host, port, from }: Dial): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect({ host, port, ...(from === undefined ? {} : { localAddress: from }) });
    socket.setTimeout(3000, () => socket.destroy(new Error('no answer')));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('end', () => resolve(text));
    socket.on('error', (error) => resolve(`error: ${error.message}`));
  });
}

const answers: string[] = [];
for (const request of JSON.parse(process.argv[2] ?? '[]') as readonly Dial[]) {
  process.seteuid?.(request.uid); // the owner of a socket is who makes it
  answers.push(await dial(request));
  process.seteuid?.(0);
}
process.stdout.write(JSON.stringify(answers));
