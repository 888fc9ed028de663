import type { Clock } from "@cpg/resilience";
import type { DirectEndpoint } from "../wire/direct-endpoint.ts";

/** A way in which a plugin gets to run: a child process, a worker thread, an object in the host's own process. */
export interface LaunchStrategy {
  /** For logs and errors, such as "process". */
  readonly kind: string;
  /**
   * Starts the plugin and resolves once it is ready to be called. If it does not get there, nothing of it is left: no
   * process, no file, no timer.
   * @throws {ConnectError} whose cause is a `LaunchError`; the reason of `signal` when that aborts. {TypeError}
   * {RangeError} for bad options, naming the option.
   */
  launch(request: LaunchRequest): Promise<RunningPlugin>;
}

export interface LaunchRequest {
  /** Name of the plugin in errors and log records. */
  readonly plugin: string;
  /** Gives the launch up. Has no effect once it succeeded. */
  readonly signal?: AbortSignal | undefined;
  /** Bound on the whole launch, in ms. Greater than 0. */
  readonly readyTimeoutMs: number;
  /** URL of the host, for a plugin that registers itself. Absent: none is handed over. */
  readonly hostUrl?: string | undefined;
  /**
   * Resolves when the plugin's first handshake reached the host: readiness of a plugin that registers itself. May never
   * resolve, or reject, which counts the same. Default: the host does not watch for one.
   */
  readonly handshakeSeen?: Promise<unknown> | undefined;
  /**
   * Aborts when the host begins to stop its plugins: from then on one that could outlive it goes with it, however it ends.
   * Default: it does not tell.
   */
  readonly hostClosing?: AbortSignal | undefined;
  /** Receives what the plugin writes. Called synchronously, so it should only pass records on; what it throws is counted and dropped. */
  onLog(record: LogRecord): void;
  readonly clock: Clock;
}

/** A plugin that became ready. */
export interface RunningPlugin {
  /** Where it listens, "unix:/run/…/p.sock" or "http://127.0.0.1:PORT"; the name of `direct` for one without a socket. */
  readonly endpoint: string;
  /** How it is called, if it has no socket. */
  readonly direct?: DirectEndpoint | undefined;
  /** What proves this host to the plugin. Secret. */
  readonly controlToken: string;
  readonly pid?: number | undefined;
  /** What showed that it was ready. */
  readonly readiness: "ready-line" | "ready-message" | "started" | "port" | "handshake" | "reattached";
  /** Resolves when the plugin has ended, for whatever reason, and nothing of it is left. Never rejects. */
  readonly exited: Promise<ExitReport>;
  /** The last lines it wrote to stderr, oldest first. */
  stderrTail(): readonly string[];
  /**
   * Ends the plugin in steps, each with its own grace: asks it to, then SIGTERM, then SIGKILL, the signals to everything
   * it started. Resolves with how it ended, once nothing of it is left. Later calls share the first one's result.
   */
  stop(options: StopRequest): Promise<ExitReport>;
  /** Ends the plugin at once. Cuts a `stop` short that is under way. */
  kill(): Promise<ExitReport>;
}

export interface StopRequest {
  /** How long the plugin may take to end after it was asked to, in ms; the asking counts. */
  readonly graceMs: number;
  /** How long it may take after SIGTERM, in ms. Default 5 000. */
  readonly termGraceMs?: number | undefined;
  /**
   * Asks the plugin to end, such as by the Shutdown RPC. `signal` aborts when the grace is over or the plugin ended. When
   * this rejects, nobody was asked, and SIGTERM follows at once. Default: nobody asks.
   */
  readonly askToStop?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /**
   * Leaves the plugin running for the next host instead, if it was launched with `reattach`; it ends as any other if not.
   * Default false.
   */
  readonly leave?: boolean | undefined;
}

/** How a plugin ended. */
export interface ExitReport {
  /** Exit code, or null when a signal ended it. */
  readonly code: number | null;
  /** The signal that ended it, such as "SIGKILL", or null. */
  readonly signal: string | null;
  /**
   * What the host had done by then: nothing, asked it to, sent SIGTERM, sent SIGKILL, or ended its thread or server.
   * "detached": it runs elsewhere and perhaps still does, but is not this host's any more.
   */
  readonly how: "exited" | "asked" | "sigterm" | "sigkill" | "terminated" | "detached";
}

/** One line that a plugin wrote. */
export interface LogRecord {
  readonly plugin: string;
  readonly stream: "stdout" | "stderr";
  /** Without its line ending; bytes that are not UTF-8 are replaced. */
  readonly line: string;
  /** Bytes of this line that were cut off at its end because it was too long. */
  readonly truncatedBytes: number;
  /** Lines of this stream that were dropped since the record before. */
  readonly droppedLines: number;
  /** When the line was complete, wall clock ms. */
  readonly timeMs: number;
}
