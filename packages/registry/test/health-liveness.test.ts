import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";
import { createHealthMonitor } from "../src/health/create-health-monitor.ts";
import { createProbe } from "../src/health/create-probe.ts";
import type { HealthEvent } from "../src/health/health-event.ts";
import type { HealthOptions } from "../src/health/health-options.ts";
import { createRegistryStore } from "../src/state/create-registry-store.ts";
import { register } from "./support/facts.ts";

/** A foreign provider: it answers 404 to whatever it is asked. */
const program = `
  const server = require("node:http").createServer((request, response) => response.writeHead(404).end());
  server.listen(Number(process.argv[1]), "127.0.0.1", () => console.log(server.address().port));
`;

async function startProvider(port = 0) {
  const child: ChildProcess = spawn(process.execPath, ["-e", program, String(port)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (child.stdout === null) throw new Error("no stdout");
  const [line] = await once(createInterface(child.stdout), "line");
  return {
    port: Number(line),
    signal: (name: NodeJS.Signals) => void child.kill(name),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

function follow(port: number, options: HealthOptions) {
  const store = createRegistryStore();
  const events: HealthEvent[] = [];
  const waiting: (() => void)[] = [];
  const monitor = createHealthMonitor({
    store,
    probe: createProbe(),
    options,
    onEvent(event) {
      events.push(event);
      for (const wake of waiting.splice(0)) wake();
    },
  });
  register(store, "a", "logger", {
    upstream: {
      kind: "http",
      secure: false,
      address: "127.0.0.1",
      port,
      authority: `127.0.0.1:${port}`,
      servername: undefined,
      basePath: "",
      http: "auto",
    },
  });
  return {
    /** The level when the next event of that type has come. */
    async after(type: HealthEvent["type"]) {
      while (events.at(-1)?.type !== type) await new Promise<void>((resolve) => waiting.push(resolve));
      events.length = 0;
      // The monitor tells before it publishes, in the same turn.
      await new Promise(setImmediate);
      return store.provider("a")?.health.level;
    },
    [Symbol.asyncDispose]: () => monitor.close(),
  };
}

const often: HealthOptions = { intervalMs: 20, graceMs: 0, timeoutMs: 100 };

describe("a provider that is a process", () => {
  it("is hidden after kill -9, and back when it listens at its address again", async () => {
    await using first = await startProvider();
    await using health = follow(first.port, often);
    first.signal("SIGKILL");
    expect(await health.after("died")).toBe("unhealthy");
    await using _again = await startProvider(first.port);
    expect(await health.after("recovered")).toBe("healthy");
  });

  it("is hidden when it hangs, and back when it goes on", async () => {
    await using provider = await startProvider();
    await using health = follow(provider.port, often);
    provider.signal("SIGSTOP");
    expect(await health.after("silent")).toBe("unhealthy");
    provider.signal("SIGCONT");
    expect(await health.after("recovered")).toBe("healthy");
  });
});
