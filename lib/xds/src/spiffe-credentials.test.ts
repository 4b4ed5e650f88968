import { Client, Metadata } from '@grpc/grpc-js';
import { spiffeClientContract } from './spiffe-client-contract.ts';
import { meshChannelOptions, spiffeChannelCredentials } from './spiffe-credentials.ts';

const asIs = (bytes: Buffer): Buffer => bytes;

spiffeClientContract((address, serverName, tls) => {
  const client = new Client(address, spiffeChannelCredentials(tls), meshChannelOptions(serverName));
  return {
    call: (path, message) =>
      new Promise((resolve, reject) => {
        const options = { deadline: Date.now() + 10_000 };
        client.makeUnaryRequest(path, asIs, asIs, Buffer.from(message), new Metadata(), options, (error, answer) => {
          if (error === null) resolve(answer ?? Buffer.alloc(0));
          else reject(error);
        });
      }),
    close: () => client.close(),
  };
});
