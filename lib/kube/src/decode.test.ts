import test from 'ava';
import { decodeObject } from './decode.ts';
import { parseObjects } from './parse-objects.ts';

/** The problems of the only object in a text, as `line reason`. */
function problems(text: string): string[] {
  const [loaded] = parseObjects(text, 'f.yaml').objects;
  if (loaded === undefined) throw new Error('no object');
  const decoded = decodeObject(loaded);
  return decoded.outcome === 'invalid' ? decoded.problems.map((p) => `${p.origin.line} ${p.reason}`) : [];
}

const security = (authorization: string): string => `apiVersion: chainmail.dev/v1alpha1
kind: SecurityPolicy
metadata: { name: p, namespace: shop }
spec:
  authorization:
${authorization}`;

test('a problem has its line, its path and what to write instead', (t) => {
  const text = security(`    defaultAction: deny
    rules:
      - action: Alow
        principle: {}
        operation:
          methods: [get]
`);
  t.deepEqual(problems(text), [
    '6 spec.authorization.defaultAction: "deny" is not allowed here; write Allow or Deny',
    '8 spec.authorization.rules[0].action: "Alow" is not allowed here; write Allow or Deny',
    '9 spec.authorization.rules[0].principle: unknown field; did you mean principal?',
    '11 spec.authorization.rules[0].operation.methods[0]: "get" is not an HTTP method in capitals, such as GET',
  ]);
});

const refused: readonly [string, string, RegExp][] = [
  [
    'a rule that matches everything',
    '    rules: [{ action: Allow }]',
    /matches every request; set authorization.defaultAction: Allow/,
  ],
  ['a principal that names nobody', '    rules: [{ action: Allow, principal: {} }]', /names nobody/],
  ['an empty list', '    rules: [{ action: Allow, principal: { namespaces: [] } }]', /needs at least 1 item/],
  [
    'two rules of one name',
    '    rules: [{ name: a, action: Deny, principal: { namespaces: [x] } }, { name: a, action: Deny, principal: { namespaces: [x] } }]',
    /already the name of rules\[0\]/,
  ],
  [
    'an identity that is no SPIFFE ID',
    '    rules: [{ action: Allow, principal: { identities: ["spiffe://td"] } }]',
    /is not a SPIFFE ID/,
  ],
  [
    'a wildcard namespace',
    '    rules: [{ action: Allow, principal: { namespaces: ["*"] } }]',
    /is not a name of lower-case/,
  ],
  [
    'an address range with too many bits',
    '    rules: [{ action: Allow, principal: { clientCIDRs: [10.0.0.0/33] } }]',
    /is not an address range/,
  ],
  [
    'a path that normalisation changes',
    '    rules: [{ action: Deny, operation: { paths: ["/a/../b"] } }]',
    /can never match/,
  ],
  [
    'a path with an escaped slash',
    '    rules: [{ action: Deny, operation: { paths: ["/a%2Fb"] } }]',
    /can never match/,
  ],
  ['a wildcard inside a path', '    rules: [{ action: Deny, operation: { paths: ["/*/b"] } }]', /only at the end/],
  [
    'an expression that RE2 does not know',
    '    rules: [{ action: Deny, operation: { paths: [{ type: RegularExpression, value: "/(?=a)" }] } }]',
    /look-around/,
  ],
  [
    'an expression that is none',
    '    rules: [{ action: Deny, operation: { paths: [{ type: RegularExpression, value: "/(" }] } }]',
    /not a regular expression/,
  ],
  [
    'a port that is none',
    '    rules: [{ action: Deny, operation: { ports: [70000] } }]',
    /whole number from 1 to 65535/,
  ],
];

for (const [what, authorization, message] of refused) {
  test(`SecurityPolicy: refused: ${what}`, (t) => {
    t.regex(problems(security(`${authorization}\n`)).join('\n'), message);
  });
}

test('SecurityPolicy: a part that is not supported is refused, not ignored', (t) => {
  const text = security('    defaultAction: Allow\n').replace('spec:', 'spec:\n  jwt: {}');
  t.regex(problems(text)[0] ?? '', /^5 spec\.jwt: is not supported yet/);
});

const traffic = (spec: string): string =>
  `apiVersion: chainmail.dev/v1alpha1\nkind: BackendTrafficPolicy\nmetadata: { name: p, namespace: shop }\nspec:\n${spec}\n`;

test("BackendTrafficPolicy: Envoy Gateway's names, durations and ranges", (t) => {
  t.deepEqual(problems(traffic('  healthCheck: { passive: { consecutive5XxErrors: 3, baseEjectionTime: 5s } }')), []);
  t.deepEqual(problems(traffic('  healthCheck: { passive: { consecutive5xxErrors: 3 } }')), [
    '5 spec.healthCheck.passive.consecutive5xxErrors: write consecutive5XxErrors',
  ]);
  t.regex(
    problems(traffic('  timeout: { http: { requestTimeout: 5 } }'))[0] ?? '',
    /5 is not a duration such as 250ms/,
  );
  t.regex(problems(traffic('  loadBalancer: { type: Random }'))[0] ?? '', /write RoundRobin or LeastRequest/);
  t.regex(problems(traffic('  retry: { retryOn: { triggers: [5XX] } }'))[0] ?? '', /"5XX" is not allowed here/);
});

test('MeshPolicy has no targets', (t) => {
  const text =
    'apiVersion: chainmail.dev/v1alpha1\nkind: MeshPolicy\nmetadata: { name: p }\nspec: { targetRefs: [], mtls: { mode: strict } }\n';
  t.deepEqual(problems(text), [
    '4 spec.targetRefs: a MeshPolicy covers its whole namespace; remove the field',
    '4 spec.mtls.mode: "strict" is not allowed here; write STRICT or PERMISSIVE',
  ]);
});

test('HTTPRoute: a filter needs its field, an unknown filter is refused, a parent is a Service', (t) => {
  const route = (spec: string): string =>
    `apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: r }\nspec:\n${spec}\n`;
  const parent = '  parentRefs: [{ kind: Service, group: "", name: a }]\n';
  t.deepEqual(problems(route(`${parent}  rules: [{ matches: [{ path: { value: /a } }] }]`)), []);
  t.regex(
    problems(route(`${parent}  rules: [{ filters: [{ type: URLRewrite }] }]`))[0] ?? '',
    /urlRewrite: is missing/,
  );
  t.regex(problems(route(`${parent}  rules: [{ filters: [{ type: RequestMirror }] }]`))[0] ?? '', /not allowed here/);
  const redirect = '{ type: RequestRedirect, requestRedirect: { statusCode: 304 } }';
  t.regex(problems(route(`${parent}  rules: [{ filters: [${redirect}] }]`))[0] ?? '', /304 is no redirect/);
  t.regex(problems(route('  parentRefs: [{ kind: Gateway, name: a }]'))[0] ?? '', /write Service/);
});

test("Kubernetes' own kinds may have more fields than we read, but not wrong ones where we read", (t) => {
  const pod =
    'apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec: { containers: [{ name: c, tty: true }], more: 1 }\n';
  t.deepEqual(problems(pod), []);
  t.regex(
    problems(pod.replace('tty: true', 'ports: [{ containerPort: x }]'))[0] ?? '',
    /containerPort: "x" is not a whole number/,
  );
});

test('objects of other groups are foreign even with our kind names', (t) => {
  const [loaded] = parseObjects(
    'apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: { name: a }\n',
    'f',
  ).objects;
  t.is(loaded === undefined ? undefined : decodeObject(loaded).outcome, 'foreign');
});
