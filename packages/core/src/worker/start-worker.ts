import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { MessageChannel, Worker } from "node:worker_threads";
import { Code } from "@connectrpc/connect";
import { within } from "../internal/bounded.ts";
import { launchFailed } from "../launch/launch-error.ts";
import type { LaunchRequest, RunningPlugin } from "../launch/launch-strategy.ts";
import { buildChildEnvironment } from "../launch/process/child-environment.ts";
import { ENV } from "../protocol/constants.ts";
import { createPortClient, type PortClient } from "./port-client.ts";
import { followThread } from "./running-thread.ts";
import { spareTypeStripping } from "./spare-type-stripping.ts";
import { readThreadOutput } from "./thread-output.ts";
import type { ResolvedWorkerOptions } from "./worker-options.ts";
import { launchData } from "./worker-port.ts";

const tokenBytes = 32; // 256 bits

/** Launches one thread and waits until it is ready, all within `readyTimeoutMs`. If it fails, nothing of it is left. */
export async function startWorker(options: ResolvedWorkerOptions, request: LaunchRequest): Promise<RunningPlugin> {
  const { plugin, readyTimeoutMs, clock, signal, handshakeSeen } = request;
  if (!(readyTimeoutMs > 0)) throw new RangeError(`readyTimeoutMs must be greater than 0, got ${readyTimeoutMs}`);
  signal?.throwIfAborted();
  handshakeSeen?.catch(() => {}); // may reject before anybody waits for it
  const { thread, client, controlToken } = startThread(options, request);
  const output = readThreadOutput(thread, {
    plugin,
    clock,
    maxLineBytes: options.maxLineBytes,
    maxLinesPerSecond: options.maxLinesPerSecond,
    onLog: (record) => request.onLog(record),
  });
  const running = followThread({ plugin, thread, output, clock });
  void client.closed.then(async (violation) => {
    // Nobody can call it any more.
    if (violation !== undefined) await running.kill().catch(() => {});
  });
  const ended = running.exited.then((exit): never => {
    throw launchFailed({ plugin, stage: "ready", running: output, exit, reason: "it ended before it was ready" });
  });
  ended.catch(() => {}); // matters only until it is ready

  const ready = client.ready.then(() => "ready-message" as const);
  const seen = handshakeSeen?.then(
    () => "handshake" as const,
    () => new Promise<never>(() => {}), // nobody watches any more
  );
  try {
    const readiness = await within(
      clock,
      readyTimeoutMs,
      () => Promise.race(seen === undefined ? [ready, ended] : [ready, seen, ended]),
      () => tooLate,
      signal,
    );
    const { name: endpoint } = client;
    return { endpoint, direct: client, controlToken, readiness, stderrTail: output.stderrTail, ...running };
  } catch (error) {
    await running.kill();
    if (error !== tooLate) throw error;
    const reason = `not ready within ${readyTimeoutMs} ms: it sent no ready message, as serve does`;
    throw launchFailed({ plugin, stage: "ready", running: output, reason, code: Code.DeadlineExceeded });
  }
}

const tooLate = new Error("too late");

interface StartedThread {
  readonly thread: Worker;
  readonly client: PortClient;
  readonly controlToken: string;
}

function startThread(options: ResolvedWorkerOptions, { plugin, hostUrl }: LaunchRequest): StartedThread {
  const { entry, args, nodeArgs, resourceLimits } = options;
  if (!existsSync(entry)) {
    const reason = `entry ${entry} not found`;
    throw launchFailed({ plugin, stage: "spawn", reason, code: Code.FailedPrecondition });
  }
  spareTypeStripping(entry);
  const controlToken = randomBytes(tokenBytes).toString("base64url");
  const endpoint = `worker:${plugin}`;
  const { port1, port2 } = new MessageChannel();
  try {
    const thread = new Worker(entry, {
      name: endpoint,
      workerData: launchData(port2, endpoint),
      transferList: [port2],
      env: buildChildEnvironment(process.env, options.inheritEnv, options.env, {
        [ENV.controlToken]: controlToken,
        ...(hostUrl === undefined ? {} : { [ENV.hostUrl]: hostUrl }),
      }),
      argv: [...args],
      execArgv: [...nodeArgs],
      resourceLimits,
      stdout: true,
      stderr: true,
    });
    return { thread, client: createPortClient(port1, endpoint), controlToken };
  } catch (reason) {
    port1.close();
    throw launchFailed({ plugin, stage: "spawn", reason, code: Code.FailedPrecondition });
  }
}
