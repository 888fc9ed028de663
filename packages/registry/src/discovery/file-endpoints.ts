import { resolve } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import type { EndpointDiscovery } from "@cpg/core";
import { callListener, createAlarm } from "@cpg/core/extension";
import { type Clock, systemClock } from "@cpg/resilience";
import { watchDirectory } from "./directory-watch.ts";
import { parseEndpointList } from "./endpoint-list-schema.ts";
import { leavableStream } from "./leavable-stream.ts";
import { readTextFile } from "./read-text-file.ts";

export interface FileEndpointsOptions {
  /** A file with a JSON array of endpoints, at most 100 and 1 MiB. */
  readonly path: string;
  /**
   * Time after which the file is read again though nothing was seen to happen to it, in ms: some file systems do not
   * tell of changes, nor does a link whose target lies elsewhere. Default 10 000.
   */
  readonly pollMs?: number | undefined;
  /** Hears why a watch cannot use the file, once for each reason. What it throws is dropped. Default: nobody. */
  readonly onError?: ((error: ConnectError) => void) | undefined;
  readonly clock?: Clock | undefined;
}

/**
 * Finds endpoints in a file, such as `["http://10.0.0.1:8080", "http://10.0.0.2:8080"]`. A watch sees changes at once,
 * whether the file is written to or replaced (also by way of links, as Kubernetes mounts its ConfigMaps). While the file
 * is not there, or not right, it goes on with what it knew.
 * @throws {TypeError} {RangeError} for bad options, naming the option.
 * @example
 * const endpoint = fileEndpoints({ path: "/etc/my-app/hosts.json" });
 * await using client = createPluginClient({ endpoint, plugins: { kv } });
 */
export function fileEndpoints(options: FileEndpointsOptions): EndpointDiscovery {
  const { pollMs = 10_000, onError = () => {}, clock = systemClock } = options;
  if (options.path === "" || options.path.includes("\0")) throw new TypeError("path must name a file");
  if (!(Number.isFinite(pollMs) && pollMs >= 1)) {
    throw new RangeError(`pollMs must be a finite number of ms from 1, got ${pollMs}`);
  }
  const path = resolve(options.path);
  const report = (error: ConnectError): void => {
    callListener(
      () => onError(error),
      () => {},
    );
  };

  async function* follow(signal: AbortSignal): AsyncGenerator<readonly string[], void, void> {
    signal.throwIfAborted();
    const alarm = createAlarm(clock);
    const directory = watchDirectory(path, () => alarm.ring());
    // A reader may forget a watch that was aborted.
    signal.addEventListener("abort", directory.close, { once: true });
    let told: string | undefined;
    let reported: string | undefined;
    try {
      for (;;) {
        // Before the file is read, or what happens in between would not be seen.
        directory.open();
        const list = await readEndpoints(path, signal).catch((reason) => {
          signal.throwIfAborted();
          const error = ConnectError.from(reason);
          if (error.message !== reported) report(error);
          reported = error.message;
        });
        if (list !== undefined) reported = undefined;
        const facts = list?.join("\n");
        if (list !== undefined && facts !== told) {
          told = facts;
          yield list;
        }
        await alarm.wait(pollMs, signal);
      }
    } finally {
      signal.removeEventListener("abort", directory.close);
      directory.close();
    }
  }

  return {
    async discover({ signal } = {}) {
      signal?.throwIfAborted();
      return await readEndpoints(path, signal);
    },
    watch: ({ signal } = {}) => leavableStream(follow, signal),
  };
}

/** @throws {ConnectError} `unavailable`. The reason of `signal`. */
async function readEndpoints(path: string, signal: AbortSignal | undefined): Promise<readonly string[]> {
  try {
    const text = await readTextFile(path);
    signal?.throwIfAborted();
    return parseEndpointList(text);
  } catch (reason) {
    signal?.throwIfAborted();
    const why = reason instanceof ConnectError ? reason.rawMessage : reason instanceof Error ? reason.message : reason;
    throw new ConnectError(`cannot use ${path}: ${why}`, Code.Unavailable, undefined, undefined, reason);
  }
}
