import { type Client, ConnectError } from "@connectrpc/connect";
import { systemClock } from "@cpg/resilience";
import {
  createPluginClient,
  type PluginClient,
  type PluginClientOptions,
  type PluginConnection,
} from "../client/plugin-client.ts";
import { type CheckedPluginSet, checkPluginSet, type PluginSet } from "../definition/plugin-set.ts";
import type { RuntimeIdentity } from "../identity/runtime-identity.ts";
import { hideProperty } from "../internal/hide-property.ts";
import { DEFAULT_GRACE_MS } from "../protocol/constants.ts";
import { type CallTransport, openCallTransport } from "../wire/call-transport.ts";
import type { DirectEndpoint } from "../wire/direct-endpoint.ts";
import { parseEndpoint } from "../wire/endpoint.ts";
import { askToStop } from "./ask-to-stop.ts";
import { assignIdentity, type ManagingHost } from "./assign-identity.ts";
import { explainEnd } from "./explain-end.ts";
import { LaunchError, launchFailed } from "./launch-error.ts";
import type { ExitReport, LaunchStrategy, LogRecord } from "./launch-strategy.ts";

export interface LaunchPluginOptions<Plugins extends PluginSet>
  extends Omit<PluginClientOptions<Plugins>, "endpoint" | "plugins"> {
  /** How the plugin gets to run, such as `nodeStrategy({ entry })`. */
  readonly strategy: LaunchStrategy;
  /** The plugins it has to serve. */
  readonly plugins: Plugins & CheckedPluginSet<Plugins>;
  /** Name of the launched program in errors and log records. Default: the name of the first plugin. */
  readonly name?: string | undefined;
  /** Receives what the plugin writes to stdout and stderr, line by line. Default: it is dropped. */
  readonly onLog?: ((record: LogRecord) => void) | undefined;
  /** Bound on becoming ready, in ms. Default 10 000. */
  readonly readyTimeoutMs?: number | undefined;
  /**
   * The host to which the plugin belongs, such as a server of this process: it gives the plugin a runtime identity, which
   * ends with the plugin. Default: the plugin gets none.
   */
  readonly host?: ManagingHost | undefined;
  /** URL of the host, handed to a plugin that registers itself (HOST_URL). Default: none. */
  readonly hostUrl?: string | undefined;
  /** Resolves when such a plugin's first handshake reached the host: it is ready then. */
  readonly handshakeSeen?: Promise<unknown> | undefined;
  /** Aborts when the host begins to stop its plugins: one with `reattach` goes with it from then on, however it ends. */
  readonly hostClosing?: AbortSignal | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface StopOptions {
  /** How long the plugin may take to finish its calls and end by itself, in ms. Default 30 000. */
  readonly graceMs?: number | undefined;
  /** How long it may take after SIGTERM, in ms. Default 5 000. */
  readonly termGraceMs?: number | undefined;
  /** For the plugin's log. */
  readonly reason?: string | undefined;
  /**
   * Leaves the plugin running for the next host, if it was launched with `reattach`; any other ends. It is "detached" then.
   * What it writes meanwhile waits in its pipes: end this process soon, then nothing blocks. Default false.
   */
  readonly leave?: boolean | undefined;
}

export interface LaunchedPlugin<Plugins extends PluginSet> extends AsyncDisposable {
  readonly name: string;
  readonly endpoint: string;
  /** How it is called, if it has no socket. */
  readonly direct: DirectEndpoint | undefined;
  /** The plugins it serves. */
  readonly plugins: Plugins;
  readonly pid: number | undefined;
  /** Resolves when the plugin has ended, for whatever reason. Never rejects. */
  readonly exited: Promise<ExitReport>;
  /** What proves this host to the plugin, as `control_token`. Secret, and not enumerable: logs do not show it. */
  readonly controlToken: string;
  /** The identity that the host gave it, if one did. */
  readonly identity: RuntimeIdentity | undefined;
  /** What the handshake settled. */
  connect(): Promise<PluginConnection>;
  /** As `PluginClient.dispense`. Calls of a plugin that has ended fail with `unavailable`, naming its last stderr lines. */
  dispense<Name extends keyof Plugins & string>(name: Name): Promise<Client<Plugins[Name]["service"]>>;
  /** The last lines it wrote to stderr. */
  stderrTail(): readonly string[];
  /**
   * Ends the plugin: asks it to (Shutdown), then SIGTERM, then SIGKILL, each with its own grace. Idempotent. Resolves
   * with how it ended, once nothing of it is left.
   * @throws {RangeError} for a bad grace. {ConnectError} `deadline_exceeded` when its process survives SIGKILL for 10 s.
   */
  stop(options?: StopOptions): Promise<ExitReport>;
  /** Ends the plugin at once. Cuts a `stop` short that is under way. */
  kill(): Promise<ExitReport>;
  /**
   * How calls travel to the plugin on connections of their own, as those of its clients do, but without interceptors. Does no
   * I/O by itself; the caller closes it.
   */
  openTransport(): CallTransport;
}

/**
 * Launches a plugin, waits until it is ready and shakes hands with it. If any of that fails, nothing of it is left.
 * @throws {ConnectError} whose cause is a `LaunchError` with the plugin, the stage reached and its last stderr lines:
 * `failed_precondition` for what another try cannot mend (checksum, missing program, versions), `unavailable` or
 * `deadline_exceeded` otherwise. {TypeError} {RangeError} for bad options.
 * @example
 * const plugin = await launchPlugin({ strategy: nodeStrategy({ entry: "./kv-plugin.js" }), plugins: { kv } });
 * const store = await plugin.dispense("kv");
 */
export async function launchPlugin<const Plugins extends PluginSet>(
  options: LaunchPluginOptions<Plugins>,
): Promise<LaunchedPlugin<Plugins>> {
  const { strategy, plugins, onLog = () => {}, readyTimeoutMs = 10_000, clock = systemClock } = options;
  const { host, hostUrl, handshakeSeen, hostClosing, signal } = options;
  checkPluginSet(plugins);
  if (!(readyTimeoutMs > 0)) throw new RangeError(`readyTimeoutMs must be greater than 0, got ${readyTimeoutMs}`);
  const name = options.name ?? Object.keys(plugins)[0] ?? "";
  const running = await strategy.launch({
    plugin: name,
    readyTimeoutMs,
    onLog,
    clock,
    signal,
    hostUrl,
    handshakeSeen,
    hostClosing,
  });

  const { endpoint, direct, controlToken, pid } = running;
  const ended = running.exited.then((report): never => {
    throw launchFailed({ plugin: name, stage: "handshake", running, exit: report });
  });
  ended.catch(() => {}); // matters only during the handshake
  let client: PluginClient<Plugins>;
  try {
    client = createPluginClient<Plugins>({
      ...options,
      endpoint: direct ?? endpoint,
      interceptors: [explainEnd(name, running, clock), ...(options.interceptors ?? [])],
    });
  } catch (reason) {
    await running.kill();
    throw reason;
  }
  const { interceptors, tls } = options;
  const control = { endpoint: direct ?? endpoint, controlToken, interceptors, tls, clock };
  let httpVersion: PluginConnection["httpVersion"];
  const settle = async (): Promise<RuntimeIdentity | undefined> => {
    ({ httpVersion } = await client.connect({ signal }));
    return host && (await assignIdentity({ ...control, host, signal }));
  };
  const settled = settle();
  let identity: RuntimeIdentity | undefined;
  try {
    identity = await Promise.race([settled, ended]);
  } catch (reason) {
    settled.then(
      (late) => late && host?.identities.revoke(late.runtimeId),
      () => {}, // the race has reported it
    );
    await client.close();
    await running.kill();
    signal?.throwIfAborted();
    if (ConnectError.from(reason).cause instanceof LaunchError) throw reason;
    throw launchFailed({ plugin: name, stage: "handshake", running, reason });
  }

  if (identity !== undefined) {
    const { runtimeId } = identity;
    void running.exited.then(() => host?.identities.revoke(runtimeId));
  }

  let stopping: Promise<ExitReport> | undefined;
  const stop = async ({
    graceMs = DEFAULT_GRACE_MS,
    termGraceMs,
    reason = "",
    leave,
  }: StopOptions): Promise<ExitReport> => {
    const report = await running.stop({
      leave,
      graceMs,
      termGraceMs,
      askToStop: (asking) => askToStop({ ...control, graceMs, reason, signal: asking }),
    });
    await client.close();
    return report;
  };

  let killing: Promise<ExitReport> | undefined;
  const kill = async (): Promise<ExitReport> => {
    try {
      return await running.kill();
    } finally {
      await client.close();
    }
  };

  const launched: LaunchedPlugin<Plugins> = {
    name,
    endpoint,
    direct,
    plugins,
    pid,
    exited: running.exited,
    controlToken,
    identity,
    connect: () => client.connect(),
    dispense: (plugin) => client.dispense(plugin),
    stderrTail: () => running.stderrTail(),
    stop(stopOptions = {}) {
      stopping ??= stop(stopOptions).catch(async (reason: unknown) => {
        if (reason instanceof ConnectError) await client.close();
        else stopping = undefined; // bad options: nothing has happened
        throw reason;
      });
      return stopping;
    },
    kill() {
      killing ??= kill();
      return killing;
    },
    openTransport() {
      const { protocol, json, callTimeoutMs, maxMessageBytes, connectTimeoutMs, compression } = options;
      if (direct !== undefined) return direct.open({ callTimeoutMs, maxMessageBytes, clock });
      const choices = { protocol, json, callTimeoutMs, maxMessageBytes, connectTimeoutMs, compression, tls, clock };
      return openCallTransport({ ...choices, endpoint: parseEndpoint(endpoint), httpVersion: httpVersion ?? "1.1" });
    },
    async [Symbol.asyncDispose]() {
      await launched.stop();
    },
  };
  // Descriptors of services cannot be written as JSON.
  return hideProperty(hideProperty(launched, "controlToken"), "plugins");
}
