/** `registry-main.ts LAYOUT`: the bed's registry as a process on the node. */
import http from 'node:http';
import { plan } from './address-plan.ts';
import { Registry } from './registry.ts';

http.createServer(new Registry(process.argv[2] ?? '').listener()).listen(plan.registryPort, plan.nodeIp);
