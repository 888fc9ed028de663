import type { HostContext } from "@cpg/core";
import type { HealthMonitor } from "../health/health-monitor.ts";
import type { Registration } from "../state/registration.ts";
import type { RegistryStore } from "../state/registry-store.ts";
import type { ProviderSources } from "./find-provider.ts";
import type { Forwarder } from "./forward/forwarder.ts";
import type { RoutedCallRecord } from "./routed-call-record.ts";

export interface RouterLimits {
  /** Routed calls of one caller at a time, streams included; more are answered `resource_exhausted`. Default 1 000. */
  readonly maxCallsPerCaller?: number | undefined;
  /** Routed calls at a time, of all callers. Default 20 000. */
  readonly maxCalls?: number | undefined;
  /**
   * Bytes of one message, in and out, to and from plugins in this process or its threads: only for them the host reads
   * messages. Default 4 MiB.
   */
  readonly maxDirectMessageBytes?: number | undefined;
}

/** What a router works with. */
export interface RouterOptions extends ProviderSources {
  readonly host: Pick<HostContext, "clock" | "draining"> & {
    readonly identities: Pick<HostContext["identities"], "authenticate">;
  };
  readonly store: Pick<RegistryStore, "find" | "provider" | "onChange">;
  readonly health: Pick<HealthMonitor, "callEnded">;
  readonly forwarder: Forwarder;
  /**
   * The secret by which the host proves itself to a plugin that it launched or attached: with it the plugin believes who
   * calls. Default: none is known.
   */
  readonly controlTokenOf?: ((registration: Registration) => string | undefined) | undefined;
  /** Hears of each call once it has ended, refused ones among them. What it throws goes to `onError`. Default: nobody. */
  readonly onCall?: ((record: RoutedCallRecord) => unknown) | undefined;
  /** Hears of errors that no caller gets to see. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
  readonly limits?: RouterLimits | undefined;
}

/** @throws {RangeError} naming the limit. */
export function resolveRouterLimits(limits: RouterLimits = {}): Required<{ [Key in keyof RouterLimits]: number }> {
  const { maxCallsPerCaller = 1_000, maxCalls = 20_000, maxDirectMessageBytes = 4 * 1024 * 1024 } = limits;
  checkCount("maxCallsPerCaller", maxCallsPerCaller);
  checkCount("maxCalls", maxCalls);
  checkCount("maxDirectMessageBytes", maxDirectMessageBytes);
  return { maxCallsPerCaller, maxCalls, maxDirectMessageBytes };
}

function checkCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`${name} must be a whole number from 1, got ${value}`);
  }
}
