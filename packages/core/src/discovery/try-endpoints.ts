import { Code, ConnectError } from "@connectrpc/connect";
import { type Clock, markUnprocessed } from "@cpg/resilience";
import { within } from "../internal/bounded.ts";
import { type EndpointDiscovery, MAX_ENDPOINTS } from "./endpoint-discovery.ts";
import type { EndpointRotation } from "./endpoint-rotation.ts";

export interface TryEndpointsOptions {
  readonly discovery: Pick<EndpointDiscovery, "discover">;
  readonly rotation: EndpointRotation;
  /** Used when nobody can tell now: what was told before. */
  readonly known: readonly string[];
  /** Bound on discovery, in ms. */
  readonly discoverMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * What `attempt` gives for the first endpoint for which it succeeds, each tried once. The rotation hears of each.
 * @throws {ConnectError} when none does: of the attempt if there was one only; `unavailable` if any of them may be better
 * later; else with the code of the first. The reason of `signal`.
 */
export async function tryEndpoints<T>(
  options: TryEndpointsOptions,
  attempt: (endpoint: string) => Promise<T>,
): Promise<T> {
  const { rotation, signal } = options;
  const endpoints = await currentEndpoints(options);
  const failures: ConnectError[] = [];
  for (const endpoint of rotation.order(endpoints)) {
    try {
      const result = await attempt(endpoint);
      rotation.worked(endpoint);
      return result;
    } catch (reason) {
      signal.throwIfAborted();
      rotation.failed(endpoint);
      failures.push(ConnectError.from(reason));
    }
  }
  throw noneWorked(failures);
}

async function currentEndpoints(options: TryEndpointsOptions): Promise<readonly string[]> {
  const { discovery, known, discoverMs, clock, signal } = options;
  try {
    const endpoints = await within(
      clock,
      discoverMs,
      (attempt) => discovery.discover({ signal: attempt }),
      () => new ConnectError(`the endpoints were not found within ${discoverMs} ms`, Code.Unavailable),
      signal,
    );
    if (endpoints.length > 0) return endpoints.slice(0, MAX_ENDPOINTS);
  } catch (reason) {
    signal.throwIfAborted();
    if (known.length === 0) throw ConnectError.from(reason, Code.Unavailable);
  }
  if (known.length > 0) return known.slice(0, MAX_ENDPOINTS);
  throw new ConnectError("discovery knows no endpoint", Code.Unavailable);
}

function noneWorked(failures: readonly ConnectError[]): ConnectError {
  const [first, ...others] = failures;
  if (first === undefined) return new ConnectError("discovery knows no endpoint", Code.Unavailable);
  if (others.length === 0) return first;
  const code = failures.some(mayPass) ? Code.Unavailable : first.code;
  const reasons = failures.map(({ rawMessage }) => rawMessage).join("; ");
  const cause = new AggregateError(failures, "each endpoint failed");
  const error = new ConnectError(`none of ${failures.length} endpoints works: ${reasons}`, code, undefined, [], cause);
  return markUnprocessed(error);
}

function mayPass({ code }: ConnectError): boolean {
  return code === Code.Unavailable || code === Code.DeadlineExceeded;
}
