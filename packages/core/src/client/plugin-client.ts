import { type Client, Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { type Clock, systemClock } from "@cpg/resilience";
import { type CheckedPluginSet, checkPluginSet, type PluginSet } from "../definition/plugin-set.ts";
import { type HandshakeResult, shakeHands } from "../handshake/handshake-client.ts";
import { checkAppProtocolVersions } from "../handshake/version-negotiation.ts";
import { within } from "../internal/bounded.ts";
import { DEFAULT_APP_PROTOCOL_VERSION, DEFAULT_MAGIC_COOKIE, type MagicCookie } from "../protocol/constants.ts";
import { checkFreeText, checkMagicCookie, checkMetadata, checkName } from "../protocol/field-rules.ts";
import { type CallTransport, type CallTransportOptions, openCallTransport } from "../wire/call-transport.ts";
import { resolveCallTransportOptions } from "../wire/call-transport-options.ts";
import { warnOfCleartext } from "../wire/cleartext-warning.ts";
import { checkDirectCallOptions, type DirectEndpoint } from "../wire/direct-endpoint.ts";
import { parseEndpoint } from "../wire/endpoint.ts";
import { preferHttp2 } from "./prefer-http2.ts";
import { createServiceClient } from "./service-client.ts";

/** What settles how calls travel, handed through to the transport. */
type TransportChoices = Pick<
  CallTransportOptions,
  | "protocol"
  | "json"
  | "tls"
  | "connectTimeoutMs"
  | "callTimeoutMs"
  | "pingIntervalMs"
  | "pingTimeoutMs"
  | "maxMessageBytes"
  | "compression"
>;

export interface PluginClientOptions<Plugins extends PluginSet> extends TransportChoices {
  /**
   * Where the plugins are served: "http://host:port", "https://host:port" or "unix:/absolute/path"; or what reaches them
   * without a socket, for which the options about HTTP and TLS have no meaning.
   */
  readonly endpoint: string | DirectEndpoint;
  /** The plugins to use. The server has to offer all of them. */
  readonly plugins: Plugins & CheckedPluginSet<Plugins>;
  /** HTTP version of the calls. Default "auto": 2 when the server announces it and it works, else 1.1. */
  readonly httpVersion?: "auto" | "1.1" | "2" | undefined;
  /** Interceptors of every call, the handshake included; the first is outermost. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** Default: the cookie of the protocol. */
  readonly magicCookie?: MagicCookie | undefined;
  /** Versions of the application's own protocol that this side speaks. Default [1]. */
  readonly appProtocolVersions?: readonly number[] | undefined;
  /** Name under which this side asks for a runtime identity. Default: none asked for. */
  readonly selfId?: string | undefined;
  /** Free text, at most 64 bytes. */
  readonly selfVersion?: string | undefined;
  /** Free facts for the server. */
  readonly clientMetadata?: Readonly<Record<string, string>> | undefined;
  /** Bound on the handshake as a whole, connecting included, in ms. Default 10 000. */
  readonly handshakeTimeoutMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

/** What a handshake settled, and the HTTP version that calls use. */
export interface PluginConnection extends HandshakeResult {
  /** Undefined: calls do not travel over HTTP. */
  readonly httpVersion: "1.1" | "2" | undefined;
}

export interface PluginClient<Plugins extends PluginSet> extends AsyncDisposable {
  /**
   * Connects and shakes hands, once: concurrent calls share the attempt, and after a success the result stays. After a
   * failure the next call tries again.
   * @throws {ConnectError} `unavailable` when the server cannot be reached, `deadline_exceeded` when it does not answer
   * in time, `failed_precondition` for versions that do not fit, `not_found` for a plugin that the server lacks,
   * `unimplemented` or `unknown` when this is no plugin server, `canceled` when the client is closed; else the reason of
   * `signal`, which ends the wait of this caller only.
   */
  connect(options?: { readonly signal?: AbortSignal | undefined }): Promise<PluginConnection>;
  /**
   * A typed client for one plugin. Connects if that has not happened yet. Leaving a response stream early ends its call.
   * @throws {TypeError} for a name outside `plugins`. {ConnectError} as `connect`.
   */
  dispense<Name extends keyof Plugins & string>(name: Name): Promise<Client<Plugins[Name]["service"]>>;
  /** Ends all connections; calls in flight fail with `canceled`. Idempotent. */
  close(): Promise<void>;
}

type State =
  | { readonly kind: "idle" }
  | {
      readonly kind: "connecting";
      readonly attempt: Promise<Connected>;
      readonly abort: AbortController;
      /** Resolves when the attempt has let go of its connections, or handed them over. */
      readonly ended: Promise<unknown>;
    }
  | { readonly kind: "connected"; readonly connected: Connected }
  | { readonly kind: "closed" };

interface Connected {
  readonly connection: PluginConnection;
  readonly calls: CallTransport;
}

/** Most of the bound on the handshake that trying HTTP/2 may take: HTTP/1.1 works by then. */
const upgradeShare = 0.5;

/**
 * A client of one plugin server. Does no I/O until the first `dispense` or `connect`.
 * @throws {TypeError} {RangeError} for bad options, naming the option. {ConnectError} `invalid_argument` for names and
 * metadata against the rules of the protocol.
 * @example
 * await using client = createPluginClient({ endpoint: "http://localhost:8080", plugins: { kv } });
 * const store = await client.dispense("kv");
 * await store.put({ key: "mykey", value: new TextEncoder().encode("hello") });
 */
export function createPluginClient<const Plugins extends PluginSet>(
  options: PluginClientOptions<Plugins>,
): PluginClient<Plugins> {
  const {
    plugins,
    httpVersion = "auto",
    magicCookie = DEFAULT_MAGIC_COOKIE,
    appProtocolVersions = [DEFAULT_APP_PROTOCOL_VERSION],
    selfId,
    selfVersion,
    clientMetadata,
    handshakeTimeoutMs = 10_000,
    clock = systemClock,
  } = options;
  checkPluginSet(plugins);
  if (httpVersion !== "auto" && httpVersion !== "1.1" && httpVersion !== "2") {
    throw new TypeError(`httpVersion must be "auto", "1.1" or "2", got ${JSON.stringify(httpVersion)}`);
  }
  if (!(handshakeTimeoutMs > 0 && Number.isFinite(handshakeTimeoutMs))) {
    throw new RangeError(`handshakeTimeoutMs must be a number of ms greater than 0, got ${handshakeTimeoutMs}`);
  }
  checkMagicCookie("magicCookie", magicCookie);
  checkAppProtocolVersions("appProtocolVersions", appProtocolVersions);
  if (selfId !== undefined) checkName("selfId", selfId);
  if (selfVersion !== undefined) checkFreeText("selfVersion", selfVersion);
  if (clientMetadata !== undefined) checkMetadata("clientMetadata", clientMetadata);
  const firstVersion = httpVersion === "2" ? "2" : "1.1";
  const endpointName = typeof options.endpoint === "string" ? options.endpoint : options.endpoint.name;
  const open = createOpener(options, firstVersion, clock);

  const establish = async (signal: AbortSignal): Promise<Connected> => {
    const startedMs = clock.monotonic();
    const first = open(firstVersion);
    let calls = first;
    try {
      const result = await shakeHands(first.transport, {
        plugins,
        magicCookie,
        appProtocolVersions,
        selfId,
        selfVersion,
        clientMetadata,
        timeoutMs: handshakeTimeoutMs,
        signal,
        clock,
      });
      if (httpVersion === "auto" && result.http2 && first.httpVersion !== undefined) {
        const leftMs = startedMs + handshakeTimeoutMs - clock.monotonic();
        const timeoutMs = Math.max(0, leftMs) * upgradeShare;
        calls = await preferHttp2({ http1: first, openHttp2: () => open("2"), timeoutMs, signal, clock });
      }
      // Nobody waits for what comes after an abort.
      signal.throwIfAborted();
      return { calls, connection: { ...result, httpVersion: calls.httpVersion } };
    } catch (reason) {
      await Promise.all([first.close(), calls.close()]);
      throw reason;
    }
  };

  let state: State = { kind: "idle" };
  let closing: Promise<void> | undefined;

  const connected = (): Promise<Connected> => {
    switch (state.kind) {
      case "closed":
        return Promise.reject(new ConnectError("the plugin client is closed", Code.Canceled));
      case "connected":
        return Promise.resolve(state.connected);
      case "connecting":
        return state.attempt;
      case "idle": {
        const abort = new AbortController();
        const { promise: ended, resolve: tellEnded } = Promise.withResolvers<void>();
        const attempt = within(
          clock,
          handshakeTimeoutMs,
          (signal) => establish(signal).finally(tellEnded),
          () =>
            new ConnectError(
              `no handshake with ${endpointName} within ${handshakeTimeoutMs} ms`,
              Code.DeadlineExceeded,
            ),
          abort.signal,
        );
        const connecting: State = { kind: "connecting", attempt, abort, ended };
        state = connecting;
        attempt.then(
          (result) => {
            if (state === connecting) state = { kind: "connected", connected: result };
          },
          () => {
            if (state === connecting) state = { kind: "idle" };
          },
        );
        return attempt;
      }
    }
  };

  const close = async (): Promise<void> => {
    const before = state;
    state = { kind: "closed" };
    if (before.kind === "connected") await before.connected.calls.close();
    if (before.kind === "connecting") {
      before.abort.abort(new ConnectError("the plugin client is closed", Code.Canceled));
      // A handshake that won the race against the abort has opened a transport.
      await before.attempt.then(
        ({ calls }) => calls.close(),
        () => {},
      );
      await before.ended;
    }
  };

  const client: PluginClient<Plugins> = {
    async connect({ signal } = {}) {
      signal?.throwIfAborted();
      const attempt = connected();
      return (await (signal ? untilAborted(attempt, signal) : attempt)).connection;
    },
    async dispense(name) {
      const plugin = Object.hasOwn(plugins, name) ? plugins[name] : undefined;
      if (plugin === undefined) {
        throw new TypeError(`plugins has no "${name}"; it has ${Object.keys(plugins).join(", ")}`);
      }
      const { calls } = await connected();
      return createServiceClient(plugin.service, calls.transport);
    },
    close() {
      closing ??= close();
      return closing;
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
  return client;
}

/** @throws {TypeError} {RangeError} naming the option. */
function createOpener<Plugins extends PluginSet>(
  options: PluginClientOptions<Plugins>,
  firstVersion: "1.1" | "2",
  clock: Clock,
): (version: "1.1" | "2") => CallTransport {
  const { callTimeoutMs, maxMessageBytes } = options;
  const interceptors = [...(options.interceptors ?? [])];
  if (typeof options.endpoint !== "string") {
    const direct = options.endpoint;
    const choices = { interceptors, callTimeoutMs, maxMessageBytes, clock };
    checkDirectCallOptions(choices);
    return () => direct.open(choices);
  }
  const endpoint = parseEndpoint(options.endpoint);
  const choices: Omit<CallTransportOptions, "httpVersion"> = {
    endpoint,
    interceptors,
    protocol: options.protocol,
    json: options.json,
    tls: options.tls,
    connectTimeoutMs: options.connectTimeoutMs,
    callTimeoutMs,
    pingIntervalMs: options.pingIntervalMs,
    pingTimeoutMs: options.pingTimeoutMs,
    maxMessageBytes,
    compression: options.compression,
    clock,
  };
  resolveCallTransportOptions({ ...choices, httpVersion: firstVersion });
  warnOfCleartext(endpoint);
  return (version) => openCallTransport({ ...choices, httpVersion: version });
}

/** Lets one caller stop waiting for an attempt that others share. */
function untilAborted<T>(attempt: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return Promise.race([attempt, promise]).finally(() => signal.removeEventListener("abort", onAbort));
}
