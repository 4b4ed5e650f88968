/** Which statuses an answer in the agent's own name may have. */

/** What is wrong with it, or ''. Below 200 it would be no answer at all, and the client would wait for one. */
export function replyStatusFault(status: number): string {
  return status >= 200 && status < 600 ? '' : 'must be at least 200 and less than 600';
}
