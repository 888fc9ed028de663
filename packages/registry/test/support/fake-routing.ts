import { Code, ConnectError } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import { FakeClock } from "@cpg/resilience/testing";
import { assumedHealthy, type HealthLevel } from "../../src/health/provider-health.ts";
import type { AccessRequest } from "../../src/policy/access-policy.ts";
import { createCallers } from "../../src/router/callers.ts";
import { createDirectPlugins } from "../../src/router/direct/direct-plugins.ts";
import type { Exchange } from "../../src/router/exchange/exchange.ts";
import type { ForwardEnd, Forwarder, ForwardRequest } from "../../src/router/forward/forwarder.ts";
import { createProviderCalls } from "../../src/router/provider-calls.ts";
import { createCallRouting } from "../../src/router/route-call.ts";
import type { RoutedCallRecord } from "../../src/router/routed-call-record.ts";
import type { SelectRequest } from "../../src/selection/selection.ts";
import type { Provider, Registration } from "../../src/state/registration.ts";

/** Who waits for the end of the caller's identity. */
export const identityEnds = new Set<(error: ConnectError) => void>();
const api: RuntimeIdentity = {
  id: "api-1",
  source: "runtime-identity",
  runtimeId: "api-1",
  selfId: "api",
  selfVersion: "",
  issuedAtMs: 0,
  expiresAtMs: 0,
  peer: undefined,
  declares: undefined,
  ended: new AbortController().signal,
  onEnd(listener) {
    identityEnds.add(listener);
    return () => void identityEnds.delete(listener);
  },
};

function registration(providerId: string): Registration {
  return {
    id: `registration of ${providerId}`,
    providerId,
    type: "kv",
    version: "1.0.0",
    endpointPath: "/acme.KV/",
    metadata: {},
    weight: 100,
    leaseMs: undefined,
    upstream: {
      kind: "http",
      secure: false,
      address: "127.0.0.1",
      port: 1,
      authority: providerId,
      servername: undefined,
      basePath: "/base",
      http: "2",
    },
  };
}

export interface FakeExchange extends Exchange {
  readonly failures: { readonly code: Code; readonly status: number | undefined }[];
}

function exchange(target: string, headers: readonly string[] = ["x-plugin-runtime-id", "api-1"]): FakeExchange {
  const failures: FakeExchange["failures"] = [];
  return {
    failures,
    httpVersion: "2.0",
    method: "POST",
    target,
    headers,
    contentType: "application/proto",
    peer: { network: "tcp", address: "127.0.0.1", port: 2, tls: undefined },
    requestBytes: 3,
    responseBytes: 5,
    onClosed() {},
    fail: (error, status) => void failures.push({ code: error.code, status }),
    destroy() {},
    carry() {
      throw new Error("the forwarder's affair");
    },
  };
}

export const answered: Extract<ForwardEnd, { kind: "answered" }> = {
  kind: "answered",
  status: 200,
  contentType: "application/proto",
  grpcStatus: undefined,
  cut: undefined,
};
export const refused: Extract<ForwardEnd, { kind: "unsent" }> = {
  kind: "unsent",
  cause: "refused",
  error: new Error("no"),
  replayable: true,
};
export const unprocessed: Extract<ForwardEnd, { kind: "unsent" }> = { ...refused, cause: "unprocessed" };

export interface Scene {
  /** What forwarding comes to, call by call; the last one again and again. */
  readonly ends?: readonly (ForwardEnd | Promise<ForwardEnd>)[];
  readonly providers?: readonly string[];
  readonly level?: HealthLevel;
  readonly isDraining?: boolean;
  readonly hostDraining?: boolean;
  readonly deny?: (request: AccessRequest) => boolean;
  readonly onCall?: (record: RoutedCallRecord) => unknown;
  readonly maxCallsPerCaller?: number;
}

/** A router in memory: what it asked of others is in `log`. */
export function routing(scene: Scene = {}) {
  const { ends = [answered], providers = ["kv-1", "kv-2"], deny = () => false } = scene;
  const registrations = new Map(providers.map((id) => [id, registration(id)]));
  const log: string[] = [];
  const requests: ForwardRequest[] = [];
  const records: RoutedCallRecord[] = [];
  const errors: unknown[] = [];
  const inFlight = new Map<string, number>();
  const draining = new AbortController();
  if (scene.hostDraining) draining.abort("closing");
  const forwarder: Forwarder = {
    async forward(_exchange, request) {
      requests.push(request);
      return ends[Math.min(requests.length, ends.length) - 1] ?? answered;
    },
    retire() {},
    async close() {},
  };
  const { promise: told, resolve: tell } = Promise.withResolvers<void>();
  const health = { ...assumedHealthy, level: scene.level ?? assumedHealthy.level };
  const provider = (id: string): Provider | undefined =>
    registrations.has(id)
      ? { id, selfId: "kv", instance: id, health, draining: scene.isDraining ?? false, standby: false }
      : undefined;
  const route = createCallRouting({
    providerCalls: createProviderCalls(),
    host: {
      clock: new FakeClock(),
      draining: draining.signal,
      identities: {
        authenticate(headers) {
          if (!(headers instanceof Headers) && headers["x-plugin-runtime-id"] === "api-1") return api;
          throw new ConnectError("who?", Code.Unauthenticated);
        },
      },
    },
    store: { find: (type, id) => (type === "kv" ? registrations.get(id) : undefined), provider },
    selector: {
      select({ type, except }: SelectRequest) {
        const left = [...registrations.values()].filter(({ providerId }) => !except?.has(providerId));
        const [chosen] = type === "kv" ? left : [];
        const who = chosen && provider(chosen.providerId);
        if (chosen === undefined || who === undefined) throw new ConnectError("nobody", Code.NotFound);
        return { registration: chosen, provider: who, single: left.length === 1 };
      },
      begin(id) {
        inFlight.set(id, (inFlight.get(id) ?? 0) + 1);
        return () => void inFlight.set(id, (inFlight.get(id) ?? 0) - 1);
      },
      inFlight: (id) => inFlight.get(id) ?? 0,
    },
    access: {
      check(request) {
        log.push(`may ${request.action} ${request.type} at ${request.providerId} ${request.method}`);
        if (deny(request)) throw new ConnectError("no", Code.PermissionDenied);
      },
    },
    health: { callEnded: (id, result) => void log.push(`${id} ${result}`) },
    forwarder,
    controlTokenOf: ({ providerId }) => (providerId === "kv-2" ? "secret of kv-2" : undefined),
    onCall(record) {
      records.push(record);
      tell();
      return scene.onCall?.(record);
    },
    callers: createCallers({ maxCallsPerCaller: scene.maxCallsPerCaller ?? 100, maxCalls: 100 }),
    directs: createDirectPlugins({ maxMessageBytes: 1024, onError: (error) => void errors.push(error) }),
    report: (error) => void errors.push(error),
  });
  return {
    log,
    requests,
    records,
    errors,
    inFlight,
    told,
    begin(target: string, headers?: readonly string[]): FakeExchange {
      const made = exchange(target, headers);
      route(made, () => {
        throw new Error("no direct plugin here");
      });
      return made;
    },
    async call(target: string, headers?: readonly string[]) {
      const made = this.begin(target, headers);
      await told;
      return { failures: made.failures, record: records[0] };
    },
  };
}
