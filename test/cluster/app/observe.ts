/**
 * `observe.ts URL [METHOD]`: asks twenty times a second until standard input ends, and says when the outcome changes:
 * `MILLISECONDS STATUS`, 0 for no answer.
 */
const [url = '', method = 'GET'] = process.argv.slice(2);
let last = -1;
let isOpen = true;
process.stdin.resume();
process.stdin.on('end', () => {
  isOpen = false;
});
while (isOpen) {
  const status = await fetch(url, { method, signal: AbortSignal.timeout(5000) }).then(
    (r) => r.text().then(() => r.status),
    () => 0,
  );
  if (status !== last) console.log(`${Date.now()} ${status}`);
  last = status;
  await new Promise((resolve) => setTimeout(resolve, 50));
}
process.exit(0);
