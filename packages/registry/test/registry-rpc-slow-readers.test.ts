import { type ClientHttp2Stream, connect } from "node:http2";
import { describe, expect, it } from "vitest";
import { healthOf, providerOf, serviceOf } from "./support/facts.ts";
import { type RegistryHost, startRegistryHost } from "./support/registry-host.ts";

/** As large as metadata may be, nearly: 400 KB in each event. */
const metadata = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, "v".repeat(4096)]));
const changes = 400;

interface Event {
  readonly revision: string;
  readonly state: string;
}

/** A watch of "logger", all providers, read by hand: nothing is taken from the connection that is not asked for. */
function openWatch({ endpoint, issue }: RegistryHost) {
  const session = connect(endpoint);
  const stream = session.request({
    ":method": "POST",
    ":path": "/connectplugin.v1.ServiceRegistry/WatchService",
    "content-type": "application/connect+json",
    ...issue({ selfId: "slow" }).headers,
  });
  const message = Buffer.from(JSON.stringify({ serviceType: "logger", allProviders: true }));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([head, message]));
  return { stream, events: eventsOf(stream), end: () => session.destroy() };
}

async function* eventsOf(stream: ClientHttp2Stream): AsyncGenerator<Event, void, void> {
  let buffer = Buffer.alloc(0);
  for await (const part of stream) {
    buffer = Buffer.concat([buffer, part]);
    while (buffer.length >= 5 && buffer.length >= 5 + buffer.readUInt32BE(1)) {
      const end = 5 + buffer.readUInt32BE(1);
      yield JSON.parse(buffer.subarray(5, end).toString());
      buffer = buffer.subarray(end);
    }
  }
}

describe("a watch over the wire whose reader stalls", () => {
  it("holds no events for it, and gives it the newest state when it goes on", async () => {
    await using host = await startRegistryHost();
    const { store } = host;
    store.register(providerOf("a"), serviceOf("logger", { metadata }));
    const watch = openWatch(host);
    const first = await watch.events.next();
    expect(first.value).toMatchObject({ state: "SERVICE_STATE_AVAILABLE", revision: `${store.revision}` });

    for (let index = 0; index < changes; index++) {
      store.setHealth("a", healthOf(index % 2 === 0 ? "degraded" : "healthy", `change ${index}`));
      // The server gets to write what it can: without a bound, every one of them.
      await new Promise((resolve) => setImmediate(resolve));
    }
    store.setHealth("a", healthOf("unhealthy"));

    let received = 0;
    let last: Event | undefined;
    while (last?.revision !== `${store.revision}`) {
      const { value } = await watch.events.next();
      expect(Number(value?.revision)).toBeGreaterThan(Number(last?.revision ?? 0));
      last = value ?? undefined;
      received++;
    }
    expect(last.state).toBe("SERVICE_STATE_UNAVAILABLE");
    expect(received).toBeLessThan(changes / 10);
    watch.end();
    while (host.hub.size > 0) await new Promise((resolve) => setImmediate(resolve));
  });
});
