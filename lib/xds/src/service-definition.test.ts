import { create, toBinary } from '@bufbuild/protobuf';
import test from 'ava';
import { AggregatedDiscoveryService } from '../gen/envoy/service/discovery/v3/ads_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from '../gen/envoy/service/discovery/v3/discovery_pb.js';
import { IstioCertificateService } from '../gen/istio/v1/auth/ca_pb.js';
import { serviceDefinition } from './service-definition.ts';

test('paths and streaming are those of the descriptors', (t) => {
  const { deltaAggregatedResources } = serviceDefinition(AggregatedDiscoveryService);
  t.is(
    deltaAggregatedResources.path,
    '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
  );
  t.true(deltaAggregatedResources.requestStream && deltaAggregatedResources.responseStream);
  const { createCertificate } = serviceDefinition(IstioCertificateService);
  t.is(createCertificate.path, '/istio.v1.auth.IstioCertificateService/CreateCertificate');
  t.false(createCertificate.requestStream || createCertificate.responseStream);
});

test('a message is encoded; one that is bytes already goes through without a copy', (t) => {
  const { deltaAggregatedResources: method } = serviceDefinition(AggregatedDiscoveryService);
  const response = create(DeltaDiscoveryResponseSchema, { nonce: '7', typeUrl: 'x' });
  const bytes = toBinary(DeltaDiscoveryResponseSchema, response);
  t.deepEqual([...method.responseSerialize(response)], [...bytes]);
  const passed = method.responseSerialize(bytes as never);
  t.is(passed.buffer, bytes.buffer);
  t.is(method.responseDeserialize(passed).nonce, '7');
  const request = create(DeltaDiscoveryRequestSchema, { resourceNamesSubscribe: ['a'] });
  t.deepEqual(method.requestDeserialize(method.requestSerialize(request)).resourceNamesSubscribe, ['a']);
});
