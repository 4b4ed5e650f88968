/** What a cluster admits of one routing priority. Pair each true with a release. */
import type { CircuitBreakers } from './circuit-breakers.ts';

export abstract class Admission {
  readonly circuit: CircuitBreakers;

  constructor(circuit: CircuitBreakers) {
    this.circuit = circuit;
  }

  admitRequest(): boolean {
    return this.circuit.admit(this.circuit.requests);
  }
  releaseRequest(): void {
    this.circuit.release(this.circuit.requests);
  }
  admitConnection(): boolean {
    return this.circuit.admit(this.circuit.connections);
  }
  releaseConnection(): void {
    this.circuit.release(this.circuit.connections);
  }
  admitPending(): boolean {
    return this.circuit.admit(this.circuit.pending);
  }
  releasePending(): void {
    this.circuit.release(this.circuit.pending);
  }
  admitRetry(): boolean {
    return this.circuit.admitRetry();
  }
  releaseRetry(): void {
    this.circuit.release(this.circuit.retries);
  }
}
