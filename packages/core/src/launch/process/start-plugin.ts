import { type ChildProcessByStdio, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { Code, type ConnectError } from "@connectrpc/connect";
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
import { explainSpawnError } from "./spawn-error.ts";
import { followProcess } from "./spawned-process.ts";
import { verifyChecksums } from "./verify-checksums.ts";

/** A program and how to run it, every option resolved. */
export interface PluginProgram extends ResolvedProcessOptions {
  readonly command: string;
  /** Arguments of one launch, which may depend on where it may listen. */
  args(place: LaunchPlace): readonly string[];
}

type Child = ChildProcessByStdio<null, Readable, Readable>;

const tokenBytes = 32; // 256 bits

/** Launches one process and waits until it is ready, all within `readyTimeoutMs`. If it fails, nothing of it is left. */
export async function startPlugin(program: PluginProgram, request: LaunchRequest): Promise<RunningPlugin> {
  const { readyTimeoutMs, clock, signal } = request;
  if (!(readyTimeoutMs > 0)) throw new RangeError(`readyTimeoutMs must be greater than 0, got ${readyTimeoutMs}`);
  signal?.throwIfAborted();
  request.handshakeSeen?.catch(() => {}); // may reject before anybody waits for it
  const limit = new AbortController();
  const timer = new AbortController();
  const onAbort = () => limit.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  clock.sleep(readyTimeoutMs, timer.signal).then(
    () => limit.abort(tooLate),
    () => {}, // the launch is over
  );
  try {
    return await startWithin(program, request, limit.signal);
  } finally {
    timer.abort();
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Reason of the abort of a launch that takes too long. */
const tooLate = new Error("too late");

async function startWithin(
  program: PluginProgram,
  request: LaunchRequest,
  signal: AbortSignal,
): Promise<RunningPlugin> {
  const { place, child, pid, controlToken } = await spawnPlugin(program, request, signal);
  const { plugin, clock, readyTimeoutMs, handshakeSeen } = request;
  const announced = Promise.withResolvers<string>();
  let refused: string | undefined;
  const output = readProcessOutput(child.stdout, child.stderr, {
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
  const spawned = followProcess({
    plugin,
    child,
    pid,
    output,
    guardian: hostGuardian(),
    clock,
    cleanUp: () => place.release(),
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
    return { ...ready, ...spawned, controlToken, pid, stderrTail: output.stderrTail };
  } catch (error) {
    await spawned.kill();
    if (!signal.aborted || signal.reason !== tooLate) throw error;
    const reason = `not ready within ${readyTimeoutMs} ms: ${describeWait(program, place, refused)}`;
    throw launchFailed({ plugin, stage: "ready", running: output, reason, code: Code.DeadlineExceeded });
  }
}

interface Spawned {
  readonly place: LaunchPlace;
  readonly child: Child;
  readonly pid: number;
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
    guardian.expect(`${ENV.controlToken}=${controlToken}`);
    const child: Child = spawn(command, args, {
      cwd,
      env: buildChildEnvironment(process.env, program.inheritEnv, program.env, {
        [ENV.port]: String(place.port),
        [ENV.controlToken]: controlToken,
        [ENV.readyLine]: "1",
        ...(place.socketPath === undefined ? {} : { [ENV.socket]: place.socketPath }),
        ...(hostUrl === undefined ? {} : { [ENV.hostUrl]: hostUrl }),
      }),
      detached: true, // a group of its own
      stdio: ["ignore", "pipe", "pipe"],
    });
    if (child.pid === undefined) throw (await once(child, "error"))[0];
    guardian.watch(child.pid); // before anything else can happen to this process
    child.on("error", () => {}); // nothing but a signal that could not be sent
    return { place, child, pid: child.pid, controlToken };
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
  return `it printed no ready line${probed}${announced}`;
}
