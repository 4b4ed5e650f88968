/** The two messages of grpc.health.v1: a request of one string, an answer of one number. */

/** HealthCheckResponse.ServingStatus. */
export const serving = 1;

/** HealthCheckRequest{string service = 1}. */
export function encodeHealthRequest(service: string): Buffer {
  if (service === '') return Buffer.alloc(0);
  const text = Buffer.from(service);
  return Buffer.concat([Buffer.from([0x0a]), varint(text.length), text]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** HealthCheckResponse{ServingStatus status = 1}; 0 is UNKNOWN. */
export function decodeHealthStatus(message: Uint8Array): number {
  return message[0] === 0x08 ? (message[1] ?? 0) : 0;
}
