/** The statistics of client connections that every HTTP version keeps. */
import type { Side, Stream } from '../net/stream.ts';
import type { Manager } from './manager.ts';

export function countOpened(manager: Manager, stream: Stream): void {
  const { at } = manager;
  manager.count(at.downstream_cx_total);
  manager.count(at.downstream_cx_active);
  if (stream.info.tlsVersion === '') return;
  manager.count(at.downstream_cx_ssl_total);
  manager.count(at.downstream_cx_ssl_active);
}

/** Who ended the connection. isCut: a request on it was not answered whole. */
export function countEnd(manager: Manager, end: Side, isCut: boolean): void {
  const { at } = manager;
  manager.count(at[`downstream_cx_destroy_${end}`]);
  if (!isCut) return;
  manager.count(at.downstream_cx_destroy_active_rq);
  manager.count(at[`downstream_cx_destroy_${end}_active_rq`]);
}

export function countClosed(manager: Manager, stream: Stream): void {
  const { at } = manager;
  manager.count(at.downstream_cx_destroy);
  manager.count(at.downstream_cx_active, -1);
  manager.count(at.downstream_cx_tx_bytes_total, stream.bytesSent);
  if (stream.info.tlsVersion !== '') manager.count(at.downstream_cx_ssl_active, -1);
}
