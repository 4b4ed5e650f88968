/** local_reply_config: answers in the agent's own name with another status, body, format and headers. */
import test from 'ava';
import type { LocalRepliesSpec } from '../model/http.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { noMutations, prefixRoute, routeConfig } from './testing/specs.ts';

const spec: LocalRepliesSpec = {
  mappers: [
    {
      filter: { kind: 'status', op: 'eq', value: 404 },
      status: 410,
      body: 'gone',
      format: null,
      headers: {
        ...noMutations,
        responseAdd: [{ name: 'x-was', value: '%RESPONSE_CODE%', action: 'append', keepEmpty: false }],
      },
    },
  ],
  format: {
    contentType: '',
    format: { kind: 'json', fields: { what: '%LOCAL_REPLY_BODY%', code: '%RESPONSE_CODE%' }, omitEmpty: false },
  },
};
const routes = routeConfig([prefixRoute('/tea', { kind: 'direct_response', status: 418, body: '' })]);

function ask(path: string, localReplies: LocalRepliesSpec, headers = ''): { answer: string; worker: FakeWorker } {
  const worker = new FakeWorker({ manager: { localReplies }, routes });
  const client = worker.client();
  client.feed(`GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);
  return { answer: client.take(), worker };
}

test('the first mapper that fits decides about status, body and headers; the format is applied to what it says', (t) => {
  const { answer, worker } = ask('/nowhere', spec);
  t.regex(answer, /^HTTP\/1\.1 410 Gone\r\nx-was: 404\r\ncontent-length: 27\r\ncontent-type: application\/json\r\n/);
  t.true(answer.endsWith('\r\n\r\n{"code":410,"what":"gone"}\n'));
  t.is(worker.lastLog.status, 410);
});

test('without a mapper the format alone; an empty body is one too', (t) => {
  const { answer } = ask('/tea', spec);
  t.true(answer.startsWith('HTTP/1.1 418'));
  t.true(answer.endsWith('\r\n\r\n{"code":418,"what":""}\n'));
});

test('a text with a type of its own; what is missing is a dash', (t) => {
  const format = { kind: 'text', format: '<%LOCAL_REPLY_BODY%|%REQ(x-none)%>' } as const;
  const { answer } = ask('/nowhere', { mappers: [], format: { contentType: 'text/html', format } });
  t.regex(answer, /content-type: text\/html\r\n/);
  t.true(answer.endsWith('\r\n\r\n<|->'));
});

test('a gRPC caller gets the body as its message, in one line', (t) => {
  const { answer } = ask('/nowhere', spec, 'content-type: application/grpc\r\n');
  t.regex(answer, /grpc-status: 2\r\ngrpc-message: \{"code":410,"what":"gone"\}\r\n/);
});
