/** Who a workload is, and in which trust domain. */
export interface SpiffeId {
  readonly trustDomain: string;
  /** Begins with "/". */
  readonly path: string;
}

const maxLength = 2048;
const trustDomainPattern = /^[a-z0-9._-]{1,255}$/;
// A segment of one or two dots is none: who resolves it gets another path.
const idPattern = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+)$/;

/**
 * Reads the SPIFFE id of a workload. Undefined for anything that is none to the letter: another scheme, capitals in scheme
 * or trust domain, a port, user, query or fragment, no path, an empty or dotted segment, a slash at the end, percent
 * encoding, more than 2048 bytes.
 *
 * Rules: https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md#2-spiffe-identity
 */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > maxLength) return undefined;
  const [, trustDomain, path] = idPattern.exec(text) ?? [];
  return trustDomain === undefined || path === undefined ? undefined : { trustDomain, path };
}

/** Whether this is the name of a trust domain, such as "example.org". */
export function isTrustDomain(name: string): boolean {
  return trustDomainPattern.test(name);
}
