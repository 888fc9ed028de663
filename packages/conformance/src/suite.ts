import { fileURLToPath } from "node:url";

/** The official suite: a Go module and the command in it. */
export const SUITE_MODULE = "connectrpc.com/conformance";
export const SUITE_VERSION = "v1.0.7";
export const SUITE_COMMAND = `${SUITE_MODULE}/cmd/connectconformance`;
/** The suite's own server. */
export const REFERENCE_SERVER_COMMAND = `${SUITE_MODULE}/cmd/referenceserver`;

/** The suite for HTTP/2 itself, whose tags are no versions to Go. */
export const H2SPEC_COMMAND = "github.com/summerwind/h2spec/cmd/h2spec";
export const H2SPEC_VERSION = "v0.0.0-20200804131034-70ac22940108";

/** A path in this package. */
export function inPackage(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}
