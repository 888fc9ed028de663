import { BrokenRule } from "../rule/finding.ts";
import type { HttpVersion } from "../wire/http-client.ts";
import { type HttpAnswer, type HttpRequest, readWhole } from "../wire/http-exchange.ts";
import type { SeenRequest } from "./echo-provider.ts";
import { credentialHeaders, pluginOf, type Registered } from "./host-calls.ts";
import type { HostUnderTest } from "./host-under-test.ts";

export interface RoutedCall extends Omit<HttpRequest, "path"> {
  /** What follows the provider's id. Default "/Echo". */
  readonly rest?: string | undefined;
  readonly http?: HttpVersion | undefined;
}

/** Path of a provider through the host. */
export function routedPath({ type, plugin }: Registered): string {
  return `/services/${type}/${plugin.runtimeId}`;
}

/** A call of the kit's caller to a provider, through the host; or to `path` instead of the provider. */
export async function callRouted(host: HostUnderTest, path: string, call: RoutedCall = {}): Promise<HttpAnswer> {
  const { rest = "/Echo", http = "1.1", headers, ...request } = call;
  const credentials = credentialHeaders(await pluginOf(host, "caller"));
  const sent = { ...request, path: path + rest, headers: { ...credentials, ...headers } };
  return await readWhole(host.http.open(http, sent, host.signal));
}

/** What the provider got. @throws {BrokenRule} when the answer is not the provider's. */
export function seenBy({ status, body }: HttpAnswer): SeenRequest {
  const text = body.toString("utf8");
  if (status !== 200) throw new BrokenRule(`HTTP ${status} ${text.slice(0, 100)}`);
  try {
    return JSON.parse(text);
  } catch {
    throw new BrokenRule(`HTTP 200, but not the provider's answer: ${text.slice(0, 100)}`);
  }
}
