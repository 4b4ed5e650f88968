/** Names and addresses inside the bed's network namespace, which has no way out: they collide with nothing. */
export const plan = {
  nodeName: 'node1',
  nodeIp: '10.100.0.1',
  nodeNetwork: '10.100.0.1/24',
  /** Nobody is there: with a default route the node itself can dial ClusterIPs, which are translated on the way. */
  gateway: '10.100.0.254',
  podNetwork: '10.244.0.0/24',
  serviceNetwork: '10.96.0.0/16',
  apiService: '10.96.0.1',
  dnsService: '10.96.0.10',
  clusterDomain: 'cluster.local',
  issuer: 'https://kubernetes.default.svc.cluster.local',
  apiServer: 'https://127.0.0.1:6443',
  registryPort: 5000,
} as const;
