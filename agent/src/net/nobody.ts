/** The far end of a connection that is not there. */
import type { ConnectionInfo } from './stream.ts';

export const nobody: ConnectionInfo = {
  remoteIp: '',
  remotePort: 0,
  localIp: '',
  localPort: 0,
  peerPrincipal: '',
  localPrincipal: '',
  tlsVersion: '',
  tlsCipher: '',
  sni: '',
  alpn: '',
  peerCertificateSha256: () => '',
  peerSubject: () => '',
  peerCertificatePem: () => '',
  peerChainPem: () => '',
  peerUris: () => [],
  peerDnsNames: () => [],
};
