/** What the agent says it is. */
import packageJson from '../../package.json' with { type: 'json' };

/** Version of the Envoy API whose behaviour the agent follows. */
const envoyApi = '1.40.0';

export const agentVersion = `chainmail-agent ${packageJson.version} (Envoy API ${envoyApi}, Node ${process.versions.node}, OpenSSL ${process.versions.openssl})`;
