import { fileURLToPath } from "node:url";
import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  definePlugin,
  memoryStrategy,
  nodeStrategy,
  type PluginServer,
  type ReattachOptions,
  type ServiceDependency,
} from "@cpg/core";
import type { Platform, PlatformEvent, PlatformOptions, PlatformPlugin } from "../../src/index.ts";
import { createPlatform } from "../../src/index.ts";
import { type Parcel, RelayService } from "./relay-service.ts";

type Relay = ServiceImpl<typeof RelayService>;

export interface RelayOptions {
  readonly version?: string | undefined;
  /** Types that it provides. Default: its id. */
  readonly provides?: readonly string[] | undefined;
  /** "type", "type?" if it is not required, "type@1.2.0" for a least version. */
  readonly requires?: readonly string[] | undefined;
  readonly impl?: Partial<Relay> | undefined;
  /** Each server that it is, once it accepts calls. What it throws fails the launch. */
  readonly onStart?: ((server: PluginServer) => void | Promise<void>) | undefined;
  /** Where it serves them. Default: the path of its service. */
  readonly path?: string | undefined;
  /** Name that it gives itself. Default: its id. */
  readonly selfId?: string | undefined;
  /** Of a process: whether it may outlive its host. */
  readonly reattach?: ReattachOptions | undefined;
}

type ManagedPlugin = Extract<PlatformPlugin, { plugins: object }>;

/** A definition of a plugin that relays. */
function defineRelay(id: string, { version = "1.0.0", provides = [id], requires = [], path }: RelayOptions = {}) {
  return definePlugin({
    name: id,
    version,
    service: RelayService,
    provides: provides.map((type) => ({ type, version, path })),
    requires: requires.map((text) => requirementOf(text)),
  });
}

/** A plugin in memory, which echoes unless told otherwise: "VERSION TEXT". */
export function relayInMemory(id: string, options: RelayOptions = {}): ManagedPlugin {
  const { version = "1.0.0", impl, onStart, selfId = id } = options;
  const plugins: Record<string, ReturnType<typeof defineRelay>> = { [id]: defineRelay(id, options) };
  const relay = { unary: ({ text }: Parcel) => ({ text: `${version} ${text}` }), ...impl } as Relay;
  const impls: Record<string, Relay> = { [id]: relay };
  return { id, strategy: memoryStrategy({ plugins, impls, onStart, selfId }), plugins, probe: false };
}

/** The same as a process of its own. `mode`: what it does besides, see platform-relay.ts. */
export function relayProcess(
  id: string,
  mode = "",
  options: Pick<RelayOptions, "version" | "requires" | "reattach"> = {},
): ManagedPlugin {
  const { version = "1.0.0", reattach } = options;
  const strategy = nodeStrategy({
    reattach,
    entry: fileURLToPath(new URL("../fixtures/platform-relay.ts", import.meta.url)),
    env: { RELAY_ID: id, RELAY_VERSION: version, RELAY_MODE: mode },
  });
  return { id, strategy, plugins: { [id]: defineRelay(id, options) }, readyTimeoutMs: 20_000 };
}

function requirementOf(text: string): ServiceDependency {
  const [name = "", minVersion] = text.split("@");
  return { type: name.replace("?", ""), minVersion, requiredForStartup: !name.endsWith("?") };
}

/** A platform on a free port that tells all that happens. */
export async function startPlatform(options: PlatformOptions = {}) {
  const events: PlatformEvent[] = [];
  const waiting = new Set<() => void>();
  const onEvent = (event: PlatformEvent) => {
    events.push(event);
    for (const look of [...waiting]) look();
  };
  const platform = await createPlatform({
    ...options,
    host: { listen: { port: 0 }, environment: {}, handleSignals: false, ...options.host },
    onEvent,
  });
  return {
    platform,
    events,
    /** Resolves with the first event, past or future, that matches. */
    until(matches: (event: PlatformEvent) => boolean): Promise<PlatformEvent> {
      return new Promise((resolve) => {
        const look = () => {
          const found = events.find(matches);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      });
    },
    /** "id state" for each plugin. */
    states: () => platform.plugins().map(({ id, state }) => `${id} ${state}`),
    [Symbol.asyncDispose]: () => platform.close({ graceMs: 1_000 }),
  };
}

/** Calls plugins through the router. */
export function createCaller(platform: Platform, types: readonly string[], requiredForStartup = false) {
  const requires = types.map((type) => ({ type, requiredForStartup }));
  const { identity, token } = platform.host.identities.issue({
    selfId: "caller",
    declares: { provides: [], requires },
  });
  const headers = {
    "content-type": "application/json",
    "x-plugin-runtime-id": identity.runtimeId,
    authorization: `Bearer ${token}`,
  };
  return {
    headers,
    runtimeId: identity.runtimeId,
    /** The text of the answer, or the code of the error. */
    async call(type: string, text = "hello", provider = "-"): Promise<string> {
      const url = `${platform.host.endpoint}/services/${type}/${provider}/Unary`;
      const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ text }) });
      const answer = (await response.json()) as { text?: string; code?: string };
      return answer.text ?? answer.code ?? "";
    },
  };
}

/** An implementation whose unary calls wait until they are released. */
export function createWaitingRelay() {
  const began = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const unary = async ({ text }: Parcel, { signal }: HandlerContext) => {
    began.resolve();
    const cut = new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason), { once: true }),
    );
    await Promise.race([released.promise, cut]);
    return { text };
  };
  return { impl: { unary } as Partial<Relay>, began: began.promise, release: () => released.resolve() };
}

export async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return ConnectError.from(
    await work.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  );
}
