/**
 * The one program that every pod of the mesh suite runs: an application with all the habits that are hard on a proxy
 * (ports 8080 to 8082, 9000, 9001), and a driver on 9099 (not intercepted) through which the suite makes it a client.
 */
import { startDriver } from './app-driver.ts';
import { startHttp } from './app-http.ts';
import { startHttp2 } from './app-http2.ts';
import { startTcp } from './app-tcp.ts';

const servers = [
  startHttp(8080, 60_000),
  // As short as it gets: an idle connection of the proxy's pool is closed under its hands again and again.
  startHttp(8081, 50),
  startHttp2(8082),
  ...startTcp(9000, 9001),
];
const driver = startDriver(9099);

process.on('SIGTERM', () => {
  // What a Node application does: no new connections, idle ones are closed, what runs is finished.
  for (const server of servers) server.close();
  driver.close();
  driver.closeAllConnections();
  setTimeout(() => process.exit(0), 3000).unref();
});
console.log('serving');
