/** The components of the cluster as argument lists and configuration files, in the flags that a test bed needs. */
import fs from 'node:fs';
import path from 'node:path';
import { plan } from './address-plan.ts';
import { cniDir } from './system-packages.ts';

/** Absolute paths below the bed's folder, since a process that enters the mount namespace starts in `/`. */
const below = (work: string) => (file: string) => path.join(work, file);

const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;

/** More requests a second than the defaults, which make the start take seconds longer. */
const fastClient = ['--kube-api-qps=500', '--kube-api-burst=1000'];

export function etcd(work: string): readonly string[] {
  return [
    'etcd',
    '--name=bed',
    `--data-dir=${work}/etcd`,
    '--unsafe-no-fsync',
    '--snapshot-count=100000',
    '--listen-client-urls=http://127.0.0.1:2379',
    '--advertise-client-urls=http://127.0.0.1:2379',
    '--listen-peer-urls=http://127.0.0.1:2380',
    '--initial-advertise-peer-urls=http://127.0.0.1:2380',
    '--initial-cluster=bed=http://127.0.0.1:2380',
  ];
}

export function apiServer(work: string): readonly string[] {
  const pki = below(`${work}/pki`);
  return [
    'kube-apiserver',
    '--etcd-servers=http://127.0.0.1:2379',
    '--bind-address=0.0.0.0',
    '--secure-port=6443',
    `--advertise-address=${plan.nodeIp}`,
    `--tls-cert-file=${pki('apiserver.crt')}`,
    `--tls-private-key-file=${pki('apiserver.key')}`,
    `--client-ca-file=${pki('ca.crt')}`,
    `--kubelet-client-certificate=${pki('apiserver-kubelet-client.crt')}`,
    `--kubelet-client-key=${pki('apiserver-kubelet-client.key')}`,
    `--kubelet-certificate-authority=${pki('ca.crt')}`,
    '--kubelet-preferred-address-types=InternalIP',
    `--service-account-issuer=${plan.issuer}`,
    `--api-audiences=${plan.issuer}`,
    `--service-account-key-file=${pki('sa.pub')}`,
    `--service-account-signing-key-file=${pki('sa.key')}`,
    `--service-cluster-ip-range=${plan.serviceNetwork}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    '--profiling=false',
    `--cert-dir=${pki('run')}`,
  ];
}

export function controllerManager(work: string): readonly string[] {
  return [
    'kube-controller-manager',
    `--kubeconfig=${work}/pki/controller-manager.kubeconfig`,
    '--leader-elect=false',
    '--use-service-account-credentials',
    `--service-account-private-key-file=${work}/pki/sa.key`,
    `--root-ca-file=${work}/pki/ca.crt`,
    `--cluster-signing-cert-file=${work}/pki/ca.crt`,
    `--cluster-signing-key-file=${work}/pki/ca.key`,
    '--bind-address=127.0.0.1',
    '--profiling=false',
    ...fastClient,
  ];
}

export function scheduler(work: string): readonly string[] {
  return [
    'kube-scheduler',
    `--kubeconfig=${work}/pki/scheduler.kubeconfig`,
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
    '--profiling=false',
    ...fastClient,
  ];
}

export function containerd(work: string): readonly string[] {
  fs.writeFileSync(`${work}/etc/containerd.toml`, containerdConfig(work));
  fs.writeFileSync(`${work}/cni/10-bridge.conflist`, json(podNetwork));
  return ['containerd', '--config', `${work}/etc/containerd.toml`];
}

/** Without CAP_SYS_RESOURCE no oom_score_adj can be lowered; every registry is the bed's own. */
const containerdConfig = (work: string): string => `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "chainmail.test/pause:1"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${work}/etc/certs.d"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cniDir()}"
    conf_dir = "${work}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`;

const podNetwork = {
  cniVersion: '0.4.0',
  name: 'bed',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      hairpinMode: true,
      ipMasq: false,
      ipam: { type: 'host-local', ranges: [[{ subnet: plan.podNetwork }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};

export function kubelet(work: string, cgroup: string, maxOpenFiles: number): readonly string[] {
  const never = [
    'memory.available',
    'nodefs.available',
    'nodefs.inodesFree',
    'imagefs.available',
    'imagefs.inodesFree',
  ];
  const config = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: `${work}/pki/ca.crt` },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: `${work}/pki/kubelet.crt`,
    tlsPrivateKeyFile: `${work}/pki/kubelet.key`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroup}`,
    failSwapOn: false,
    failCgroupV1: false,
    oomScoreAdj: 0,
    maxOpenFiles,
    maxPods: 200,
    registerNode: true,
    clusterDomain: plan.clusterDomain,
    clusterDNS: [plan.dnsService],
    resolvConf: `${work}/etc/resolv.conf`,
    volumePluginDir: `${work}/lib/kubelet/volumeplugins`,
    healthzBindAddress: '127.0.0.1',
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: Object.fromEntries(never.map((signal) => [signal, '0%'])),
    // Containers that end are started again at once: a test of a crash need not wait ten seconds.
    crashLoopBackOff: { maxContainerRestartPeriod: '2s' },
    featureGates: { KubeletCrashLoopBackOffMax: true },
  };
  fs.writeFileSync(`${work}/etc/kubelet.json`, json(config));
  fs.writeFileSync(`${work}/etc/resolv.conf`, '');
  return [
    'kubelet',
    `--config=${work}/etc/kubelet.json`,
    `--kubeconfig=${work}/pki/kubelet.kubeconfig`,
    `--hostname-override=${plan.nodeName}`,
    `--node-ip=${plan.nodeIp}`,
    '--root-dir=/var/lib/kubelet',
    `--cert-dir=${work}/pki/kubelet`,
  ];
}

export function kubeProxy(work: string): readonly string[] {
  const config = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig: `${work}/pki/proxy.kubeconfig` },
    mode: 'nftables',
    hostnameOverride: plan.nodeName,
    clusterCIDR: plan.podNetwork,
    bindAddress: '0.0.0.0',
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
    oomScoreAdj: 0,
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
  fs.writeFileSync(`${work}/etc/proxy.json`, json(config));
  return ['kube-proxy', `--config=${work}/etc/proxy.json`];
}

/** A process on the node; the Service kube-dns leads to it. */
export function coreDns(work: string): readonly string[] {
  fs.writeFileSync(
    `${work}/etc/Corefile`,
    `.:53 {
  bind ${plan.nodeIp}
  errors
  ready 127.0.0.1:8181
  kubernetes ${plan.clusterDomain} in-addr.arpa ip6.arpa {
    kubeconfig ${work}/pki/coredns.kubeconfig
    pods insecure
    ttl 5
  }
  cache 5
}
`,
  );
  return ['coredns', '-conf', `${work}/etc/Corefile`];
}
