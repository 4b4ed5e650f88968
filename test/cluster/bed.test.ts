/** The bed itself: what the suites rely on. */

import { defaultRegistry } from '@chainmail/images';
import test from 'ava';
import { plan } from './bed/address-plan.ts';
import { nextTag, testImages } from './bed/images.ts';
import { connect, kinds } from './cluster.ts';

const cluster = connect();

const sleeper = (name: string, image: string, command = ['sleep', '1000000']) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image, command }],
  },
});

test('a pod runs, answers exec and finds the API server by its name', async (t) => {
  const ns = await cluster.namespace(t);
  await cluster.api.create(sleeper('one', testImages.node), ns);
  await cluster.ready(ns, 'one');
  const script = `const https=require('https'),fs=require('fs'),d='/var/run/secrets/kubernetes.io/serviceaccount/';
https.get('https://kubernetes.default.svc/api',{ca:fs.readFileSync(d+'ca.crt'),headers:{authorization:'Bearer '+fs.readFileSync(d+'token')}},(r)=>{console.log(r.statusCode);process.exit()})`;
  const { stdout, stderr } = await cluster.exec(ns, 'one', 'main', ['node', '-e', script]);
  t.is(stdout.trim(), '200', stderr);
});

test('an image without a tag comes from the registry', async (t) => {
  const ns = await cluster.namespace(t);
  await cluster.api.create(sleeper('one', 'chainmail.dev/demo', ['node', '-e', 'setInterval(()=>0, 1e6)']), ns);
  const pod = await cluster.api.until(
    kinds.Pod,
    ns,
    'one',
    (p) => (p?.['status']?.containerStatuses?.[0]?.imageID ?? '') !== '',
  );
  t.regex(pod?.['status'].containerStatuses[0].imageID, /^chainmail\.dev\/demo@sha256:/);
});

test('an image is pushed to a registry by a standard tool, and pulled back whole', async (t) => {
  const ctr = (...args: readonly string[]) => cluster.ctr(['images', ...args]);
  const name = `${plan.nodeIp}:${plan.registryPort}/pushed/agent:1`;
  const agent = `${defaultRegistry}/agent:${nextTag}`;
  for (const step of [
    ['tag', '--force', agent, name],
    ['push', '--plain-http', name],
    ['rm', name],
    ['pull', '--plain-http', name],
  ]) {
    const { code, stdout, stderr } = await ctr(...step);
    t.is(code, 0, `${step.join(' ')}: ${stdout}${stderr}`);
  }
});
