/** HTTPRoute of the Gateway API v1, attached to a Service (GAMMA). What we do not translate is refused, not ignored. */
import { duration } from '../schema/duration.ts';
import { portNumber, subdomain } from '../schema/names.ts';
import { anything, type Infer, integer, list, object, oneOf, refine, text } from '../schema/schema.ts';
import { namespacedMetadata } from './meta.ts';
import { pathMatch } from './security-policy.ts';

const headerName = text({ noun: 'a header name', pattern: /^[A-Za-z0-9!#$%&'*+.^_|~-]+$/, maxLength: 256 });
const nameValue = object({ name: headerName, value: text() }, {});
const matchType = oneOf('Exact', 'RegularExpression');

const match = object(
  {},
  {
    path: pathMatch,
    headers: list(object({ name: headerName, value: text() }, { type: matchType }), { max: 16 }),
    queryParams: list(object({ name: text({ maxLength: 256 }), value: text() }, { type: matchType }), { max: 16 }),
    method: oneOf('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'),
  },
);

const headerModifier = object(
  {},
  { set: list(nameValue, { max: 16 }), add: list(nameValue, { max: 16 }), remove: list(headerName, { max: 16 }) },
);

const pathModifier = object(
  { type: oneOf('ReplaceFullPath', 'ReplacePrefixMatch') },
  { replaceFullPath: text({ maxLength: 1024 }), replacePrefixMatch: text({ maxLength: 1024 }) },
);

const redirectCodes = [301, 302, 303, 307, 308];
const redirectStatus = refine(integer(301, 308), (code, path, report) => {
  if (!redirectCodes.includes(code)) report(path, `${code} is no redirect; write one of ${redirectCodes.join(', ')}`);
});

const filterField = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
} as const;

const filter = refine(
  object(
    { type: oneOf('RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'URLRewrite') },
    {
      requestHeaderModifier: headerModifier,
      responseHeaderModifier: headerModifier,
      requestRedirect: object(
        {},
        {
          scheme: oneOf('http', 'https'),
          hostname: subdomain,
          path: pathModifier,
          port: portNumber,
          statusCode: redirectStatus,
        },
      ),
      urlRewrite: object({}, { hostname: subdomain, path: pathModifier }),
    },
  ),
  (value, path, report) => {
    const field = filterField[value.type];
    if (value[field] === undefined) report([...path, field], `is missing; a filter of type ${value.type} needs it`);
  },
);

export const backendRef = object(
  { name: subdomain },
  {
    group: oneOf('', 'core'),
    kind: oneOf('Service'),
    namespace: subdomain,
    port: portNumber,
    weight: integer(0, 1_000_000),
  },
  { instead: { filters: 'filters of a single backendRef are not supported; set them on the rule' } },
);

const rule = object(
  {},
  {
    name: text({ maxLength: 253 }),
    matches: list(match, { max: 64 }),
    filters: list(filter, { max: 16 }),
    backendRefs: list(backendRef, { max: 16 }),
    timeouts: object({}, { request: duration, backendRequest: duration }),
  },
);

const parentRef = object(
  { name: subdomain, kind: oneOf('Service') },
  { group: oneOf('', 'core'), namespace: subdomain, port: portNumber, sectionName: text({ maxLength: 253 }) },
);

export const httpRoute = object(
  {
    apiVersion: oneOf('gateway.networking.k8s.io/v1', 'gateway.networking.k8s.io/v1beta1'),
    kind: oneOf('HTTPRoute'),
    metadata: namespacedMetadata,
    spec: object(
      { parentRefs: list(parentRef, { min: 1, max: 32 }) },
      { hostnames: list(text(), { max: 16 }), rules: list(rule, { max: 16 }) },
    ),
  },
  { status: anything },
);

export type HttpRoute = Infer<typeof httpRoute>;
export type HttpRouteRule = Infer<typeof rule>;
export type HttpRouteMatch = Infer<typeof match>;
export type HttpRouteFilter = Infer<typeof filter>;
export type HttpBackendRef = Infer<typeof backendRef>;
export type HttpPathModifier = Infer<typeof pathModifier>;
export type HttpHeaderModifier = Infer<typeof headerModifier>;
