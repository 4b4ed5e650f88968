/** `call.ts URL [METHOD]`: one request, its outcome as a line of JSON. Exit code 0 whatever the status is. */
const [url = '', method = 'GET'] = process.argv.slice(2);
try {
  const response = await fetch(url, { method, signal: AbortSignal.timeout(30_000) });
  const text = await response.text();
  console.log(JSON.stringify({ status: response.status, headers: Object.fromEntries(response.headers), text }));
} catch (error) {
  const { cause, message } = error as Error;
  console.log(JSON.stringify({ status: 0, text: cause instanceof Error ? cause.message : message }));
}
process.exit(0);
