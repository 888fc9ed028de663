import { Code, ConnectError } from "@connectrpc/connect";

const prefix = "/capabilities/";

/**
 * Path below which a grant's services are called at the host that the plugin is linked to. Not where the URL says: the
 * credentials of a call go to the plugin's own host alone, and it may be known to others by another name or below a path.
 * @throws {ConnectError} `internal` for what is no such URL.
 */
export function grantPath(endpointUrl: string): string {
  const url = URL.canParse(endpointUrl) ? new URL(endpointUrl) : undefined;
  if (url === undefined || url.pathname === "/") {
    throw new ConnectError("the host names no URL at which the capability is called", Code.Internal);
  }
  const path = url.pathname.replace(/\/+$/, "");
  const begin = path.lastIndexOf(prefix);
  return begin === -1 ? path : path.slice(begin);
}
