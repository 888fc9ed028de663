import { randomBytes } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { ENV } from "../../protocol/constants.ts";
import { launchFailed } from "../launch-error.ts";
import type { LaunchRequest, RunningPlugin } from "../launch-strategy.ts";
import { abortable } from "./abortable.ts";
import { buildChildEnvironment } from "./child-environment.ts";
import { hostGuardian } from "./guardian.ts";
import { createLaunchPlace, type LaunchPlace } from "./launch-place.ts";
import type { ResolvedProcessOptions } from "./process-options.ts";
import { readProcessOutput } from "./process-output.ts";
import { untilReady } from "./readiness.ts";
import { acceptsEndpoint } from "./ready-line.ts";
import { fingerprintOf, type KeptRun, keepRun } from "./reattach/keep-run.ts";
import { processStart } from "./reattach/process-start.ts";
import { reattachPlugin } from "./reattach/reattach-plugin.ts";
import { type SpawnedChild, spawnChild, untilExit } from "./spawn-child.ts";
import { explainSpawnError } from "./spawn-error.ts";
import { followProcess } from "./spawned-process.ts";
import { verifyChecksums } from "./verify-checksums.ts";

/** A program and how to run it, every option resolved. */
export interface PluginProgram extends ResolvedProcessOptions {
  readonly command: string;
  /** Arguments of one launch, which may depend on where it may listen. */
  args(place: Pick<LaunchPlace, "directory">): readonly string[];
}

const tokenBytes = 32; // 256 bits

/** Launches one process and waits until it is ready, all within `readyTimeoutMs`. If it fails, nothing of it is left. */
export async function startPlugin(given: PluginProgram, request: LaunchRequest): Promise<RunningPlugin> {
  const { readyTimeoutMs, clock, signal, handshakeSeen } = request;
  // One that shakes hands by itself would have to find the next host by itself.
  const program = handshakeSeen === undefined ? given : { ...given, reattach: undefined };
  if (!(readyTimeoutMs > 0)) throw new RangeError(`readyTimeoutMs must be greater than 0, got ${readyTimeoutMs}`);
  signal?.throwIfAborted();
  handshakeSeen?.catch(() => {}); // may reject before anybody waits for it
  const limit = new AbortController();
  const timer = new AbortController();
  const onAbort = () => limit.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  clock.sleep(readyTimeoutMs, timer.signal).then(
    () => limit.abort(tooLate),
    () => {}, // the launch is over
  );
  try {
    return (await findRunning(program, request, limit.signal)) ?? (await startWithin(program, request, limit.signal));
  } finally {
    timer.abort();
    signal?.removeEventListener("abort", onAbort);
  }
}

async function findRunning(
  program: PluginProgram,
  request: LaunchRequest,
  signal: AbortSignal,
): Promise<RunningPlugin | undefined> {
  const { plugin, readyTimeoutMs } = request;
  try {
    return program.reattach && (await reattachPlugin(program, program.reattach, request, signal));
  } catch (reason) {
    if (!signal.aborted) throw launchFailed({ plugin, stage: "spawn", reason });
    if (signal.reason !== tooLate) throw signal.reason;
    const late = `not reattached within ${readyTimeoutMs} ms`;
    throw launchFailed({ plugin, stage: "spawn", reason: late, code: Code.DeadlineExceeded });
  }
}

/** Reason of the abort of a launch that takes too long. */
const tooLate = new Error("too late");

async function startWithin(
  program: PluginProgram,
  request: LaunchRequest,
  signal: AbortSignal,
): Promise<RunningPlugin> {
  const { place, child, outputs, pid, controlToken } = await spawnPlugin(program, request, signal);
  const { plugin, clock, readyTimeoutMs, handshakeSeen } = request;
  let kept: KeptRun | undefined;
  const announced = Promise.withResolvers<string>();
  let refused: string | undefined;
  const output = readProcessOutput(outputs.stdout, outputs.stderr, {
    plugin,
    clock,
    maxLineBytes: program.maxLineBytes,
    maxLinesPerSecond: program.maxLinesPerSecond,
    onLog: (record) => request.onLog(record),
    onReadyLine(endpoint) {
      const accepted = acceptsEndpoint(endpoint, place.socketPath);
      if (accepted) announced.resolve(endpoint);
      else refused = endpoint;
      return accepted;
    },
  });
  const guardian = hostGuardian();
  const spawned = followProcess({
    plugin,
    pid,
    ended: untilExit(child),
    output,
    guardian,
    clock,
    cleanUp: () => place.release(),
    leave: async () => (await kept?.leave()) ?? false,
    left: () => child.unref(),
    release: () => kept?.release(),
    forget: () => kept?.forget(),
  });
  const ended = spawned.exited.then((exit): never => {
    throw launchFailed({ plugin, stage: "ready", running: output, exit, reason: "it ended before it was ready" });
  });
  ended.catch(() => {}); // matters only until it is ready

  try {
    const ready = await untilReady({
      announced: announced.promise,
      handshakeSeen,
      probePort: program.ready === "any",
      port: place.port,
      socketPath: place.socketPath,
      ended,
      clock,
      signal,
    });
    const { reattach } = program;
    const { socketPath, directory } = place;
    if (reattach !== undefined && directory !== undefined && ready.endpoint === `unix:${socketPath}`) {
      const start = (await processStart(pid)) ?? ""; // none: it has just ended
      const fingerprint = fingerprintOf(program, directory);
      kept = await keepRun({ plugin, pid, start, controlToken, directory, fingerprint }, reattach, {
        guardian,
        hostClosing: request.hostClosing,
      });
    }
    return { ...ready, ...spawned, controlToken, pid, stderrTail: output.stderrTail };
  } catch (error) {
    await spawned.kill();
    if (!signal.aborted && !(error instanceof ConnectError)) {
      throw launchFailed({ plugin, stage: "ready", running: output, reason: error }); // it could not be noted
    }
    if (!signal.aborted || signal.reason !== tooLate) throw error;
    const reason = `not ready within ${readyTimeoutMs} ms: ${describeWait(program, place, refused)}`;
    throw launchFailed({ plugin, stage: "ready", running: output, reason, code: Code.DeadlineExceeded });
  }
}

interface Spawned extends SpawnedChild {
  readonly place: LaunchPlace;
  readonly controlToken: string;
}

async function spawnPlugin(program: PluginProgram, request: LaunchRequest, signal: AbortSignal): Promise<Spawned> {
  const { plugin, hostUrl, readyTimeoutMs } = request;
  const { command, cwd = process.cwd() } = program;
  const controlToken = randomBytes(tokenBytes).toString("base64url");
  let stage: "verify" | "spawn" = "spawn";
  let place: LaunchPlace | undefined;
  try {
    const guardian = hostGuardian();
    await abortable(guardian.ready(), signal);
    place = await createLaunchPlace(program.transport, guardian);
    stage = "verify";
    await verifyChecksums(program.checksum, cwd, signal);
    signal.throwIfAborted();
    stage = "spawn";
    const args = program.args(place);
    const { child, pid, outputs } = await spawnChild(command, args, {
      pipes: program.reattach === undefined ? undefined : place.directory,
      cwd,
      env: buildChildEnvironment(process.env, program.inheritEnv, program.env, {
        [ENV.port]: String(place.port),
        [ENV.controlToken]: controlToken,
        [ENV.readyLine]: "1",
        ...(place.socketPath === undefined ? {} : { [ENV.socket]: place.socketPath }),
        ...(hostUrl === undefined ? {} : { [ENV.hostUrl]: hostUrl }),
      }),
      onSpawn: () => guardian.expect(`${ENV.controlToken}=${controlToken}`),
      onPid: (pid) => guardian.watch(pid), // before anything else can happen to this process
    });
    return { place, child, outputs, pid, controlToken };
  } catch (error) {
    await place?.release();
    if (!signal.aborted) throw failedToSpawn(plugin, stage, error, command, cwd);
    if (signal.reason !== tooLate) throw signal.reason;
    const reason = `not started within ${readyTimeoutMs} ms`;
    throw launchFailed({ plugin, stage, reason, code: Code.DeadlineExceeded });
  }
}

function failedToSpawn(
  plugin: string,
  stage: "verify" | "spawn",
  error: unknown,
  command: string,
  cwd: string,
): ConnectError {
  if (stage === "verify") return launchFailed({ plugin, stage, reason: error, code: Code.FailedPrecondition });
  return launchFailed({ plugin, stage, ...explainSpawnError(error, command, cwd) });
}

function describeWait(program: PluginProgram, place: LaunchPlace, refused: string | undefined): string {
  const probed = program.ready === "any" ? ` and accepted no connection on port ${place.port}` : "";
  const announced =
    refused === undefined
      ? ""
      : `; it announced ${JSON.stringify(refused)}, which is neither the socket it was given nor http(s) on a loopback address`;
  return `it printed no ready line${probed}${announced}; serve() prints it, and readyTimeoutMs is the bound`;
}
