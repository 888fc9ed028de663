import { randomBytes } from "node:crypto";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { CapabilityBroker } from "@cpg/core/gen/connectplugin/v1/broker_pb";
import { type HandshakeRequest, HandshakeService } from "@cpg/core/gen/connectplugin/v1/handshake_pb";
import { PluginLifecycle } from "@cpg/core/gen/connectplugin/v1/lifecycle_pb";
import {
  type RegisterServiceRequest,
  ServiceRegistry,
  ServiceState,
  type UnregisterServiceRequest,
} from "@cpg/core/gen/connectplugin/v1/registry_pb";
import type { Credentials } from "../host/host-under-test.ts";
import { appVersion, cookie, coreVersion, header } from "../server/protocol-facts.ts";
import { listenDual } from "../wire/dual-listener.ts";

/** Whether a call shows the identity that the kit gave. */
export type ShownIdentity = "none" | "wrong" | "right";

/** What a plugin asked its host. */
export type SeenCall =
  | { readonly rpc: "Handshake"; readonly request: HandshakeRequest }
  | { readonly rpc: "RegisterService"; readonly request: RegisterServiceRequest; readonly shown: ShownIdentity }
  | { readonly rpc: "UnregisterService"; readonly request: UnregisterServiceRequest; readonly shown: ShownIdentity }
  | { readonly rpc: "another"; readonly name: string; readonly shown: ShownIdentity };

/** A host of the kit's own: what a plugin does there is what is looked at. */
export interface KitHost {
  /** As the plugin reaches it. */
  readonly url: string;
  readonly seen: readonly SeenCall[];
  /** The first call that fits, of those that came or are to come. Rejects with the signal's reason. */
  first<Call extends SeenCall>(fits: (call: SeenCall) => call is Call, signal: AbortSignal): Promise<Call>;
  /** An identity that is given to the plugin in another way than by its handshake. */
  issue(selfId: string): Credentials;
  close(): Promise<void>;
}

export interface KitHostOptions {
  /** Address to listen on. Default 127.0.0.1. */
  readonly listenHost?: string | undefined;
  /** Default: any free port. */
  readonly port?: number | undefined;
  /** Name or address of this machine, as the plugin reaches it. Default: `listenHost`. */
  readonly publicHost?: string | undefined;
}

/** Calls that are kept; a plugin that makes more is told so. */
const maxSeen = 10_000;

export async function startKitHost(options: KitHostOptions = {}): Promise<KitHost> {
  const { listenHost = "127.0.0.1", publicHost = listenHost, port } = options;
  const seen: SeenCall[] = [];
  const listeners = new Set<() => void>();
  const tokens = new Map<string, string>();

  const note = (call: SeenCall): void => {
    if (seen.length >= maxSeen) throw new ConnectError(`more than ${maxSeen} calls`, Code.ResourceExhausted);
    seen.push(call);
    for (const look of [...listeners]) look();
  };
  const shownBy = ({ requestHeader }: HandlerContext): ShownIdentity => {
    const id = requestHeader.get(header.runtimeId);
    const authorization = requestHeader.get(header.authorization);
    if (id === null && authorization === null) return "none";
    return id !== null && tokens.has(id) && authorization === `Bearer ${tokens.get(id)}` ? "right" : "wrong";
  };
  /** Refuses as a host does, once the call has been noted. */
  const admit = (shown: ShownIdentity): void => {
    if (shown !== "right") throw new ConnectError("the runtime identity is missing or unknown", Code.Unauthenticated);
  };
  const issue = (selfId: string): Credentials => {
    const runtimeId = `${selfId.toLowerCase()}-${randomBytes(8).toString("hex")}`;
    const token = randomBytes(32).toString("base64url");
    tokens.set(runtimeId, token);
    return { runtimeId, token };
  };
  const other = (name: string, context: HandlerContext): void => {
    const shown = shownBy(context);
    note({ rpc: "another", name, shown });
    admit(shown);
  };

  const routes = (router: ConnectRouter): void => {
    router.service(HandshakeService, {
      handshake(request) {
        note({ rpc: "Handshake", request });
        if (request.magicCookieKey !== cookie.key || request.magicCookieValue !== cookie.value) {
          throw new ConnectError("another magic cookie", Code.InvalidArgument);
        }
        const answer = { coreProtocolVersion: coreVersion, appProtocolVersion: appVersion };
        if (request.selfId === "") return answer;
        const { runtimeId, token: runtimeToken } = issue(request.selfId);
        return { ...answer, runtimeId, runtimeToken };
      },
    });
    router.service(ServiceRegistry, {
      registerService(request, context) {
        const shown = shownBy(context);
        note({ rpc: "RegisterService", request, shown });
        admit(shown);
        return { registrationId: randomBytes(8).toString("hex") };
      },
      unregisterService(request, context) {
        const shown = shownBy(context);
        note({ rpc: "UnregisterService", request, shown });
        admit(shown);
        return {};
      },
      discoverService(_request, context) {
        other("DiscoverService", context);
        throw new ConnectError("this host has no other plugins", Code.NotFound);
      },
      async *watchService({ serviceType }, context) {
        other("WatchService", context);
        yield { serviceType, state: ServiceState.UNAVAILABLE };
        await new Promise<void>((resolve) => context.signal.addEventListener("abort", () => resolve(), { once: true }));
      },
    });
    router.service(PluginLifecycle, {
      reportHealth(_request, context) {
        other("ReportHealth", context);
        return {};
      },
    });
    router.service(CapabilityBroker, {
      requestCapability(_request, context) {
        other("RequestCapability", context);
        throw new ConnectError("this host lends nothing", Code.NotFound);
      },
    });
  };

  const listener = await listenDual({ host: listenHost, port, handle: connectNodeAdapter({ routes }) });
  return {
    url: `http://${publicHost}:${listener.port}`,
    seen,
    first: <Call extends SeenCall>(fits: (call: SeenCall) => call is Call, signal: AbortSignal) =>
      new Promise<Call>((resolve, reject) => {
        const stop = (): void => {
          listeners.delete(look);
          signal.removeEventListener("abort", onAbort);
        };
        const onAbort = (): void => {
          stop();
          reject(signal.reason);
        };
        const look = (): void => {
          const found = seen.find(fits);
          if (found === undefined) return;
          stop();
          resolve(found);
        };
        listeners.add(look);
        signal.addEventListener("abort", onAbort, { once: true });
        if (signal.aborted) onAbort();
        else look();
      }),
    issue,
    close: () => listener.close(),
  };
}
