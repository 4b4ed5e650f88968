/** Both proxies validate a file: Envoy takes it, the agent names the field that it does not implement. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { Refused } from './cases/refused.ts';
import { configuration } from './configuration.ts';
import type { Judge } from './judge.ts';
import { commandOf, type ProxyName } from './proxy.ts';

interface Verdict {
  readonly accepted: boolean;
  readonly said: string;
}

function validate(name: ProxyName, file: string): Promise<Verdict> {
  const command = commandOf(name, file);
  if ('missing' in command) throw new Error(command.missing);
  const [program = '', ...args] = command;
  return new Promise((done) => {
    execFile(program, [...args, '--mode', 'validate'], (error, stdout, stderr) =>
      done({ accepted: error === null, said: `${stdout}${stderr}` }),
    );
  });
}

export async function checkRefused(refused: Refused, dir: string, judge: Judge): Promise<void> {
  const file = path.join(dir, `${refused.name}.json`);
  const ports = { admin: 0, upstream: 1, http2: 1, dead: 1, listen: () => 1 };
  fs.writeFileSync(file, JSON.stringify(configuration([{ ...refused, cases: [] }], ports)));
  const [agent, envoy] = await Promise.all([validate('agent', file), validate('envoy', file)]);
  judge.check(`${refused.name}: Envoy accepts it`, envoy.accepted, envoy.said);
  const named = !agent.accepted && agent.said.includes(`${refused.path}:`);
  judge.check(`${refused.name}: the agent refuses ${refused.path}`, named, agent.said);
}
