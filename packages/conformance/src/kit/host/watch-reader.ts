import { ServiceRegistry, ServiceState, type WatchServiceEvent } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { expectOk } from "../rule/expectations.ts";
import { BrokenRule } from "../rule/finding.ts";
import { enumName } from "../wire/enum-name.ts";
import { callServerStream } from "../wire/rpc-client.ts";
import { credentialHeaders } from "./host-calls.ts";
import type { Credentials, HostUnderTest } from "./host-under-test.ts";

export interface WatchReader {
  /** @throws {BrokenRule} when the stream ends instead. */
  next(): Promise<WatchServiceEvent>;
  /** The first event with that state. */
  until(state: ServiceState): Promise<WatchServiceEvent>;
  close(): void;
}

export function openWatch(host: HostUnderTest, plugin: Credentials, serviceType: string): WatchReader {
  const headers = credentialHeaders(plugin);
  const stream = callServerStream(host, ServiceRegistry.method.watchService, { serviceType }, { headers });
  const items = stream[Symbol.asyncIterator]();
  const next = async (): Promise<WatchServiceEvent> => {
    const { value, done } = await items.next();
    if (done || value === undefined) throw new BrokenRule("the watch ended");
    if (value.kind === "message") return value.message;
    if (value.answer !== undefined) expectOk("WatchService", value.answer);
    throw new BrokenRule("the host ended the watch");
  };
  return {
    next,
    async until(state) {
      while (true) {
        const event = await next();
        if (event.state === state) return event;
      }
    },
    close: () => stream.cancel(),
  };
}

export function stateName(state: ServiceState): string {
  return enumName(ServiceState, state);
}
