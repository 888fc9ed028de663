import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { RouteError } from "../src/router/route-error.ts";
import type { RoutedCallRecord } from "../src/router/routed-call-record.ts";
import { openSession, requestHttp2 } from "./support/raw-request.ts";
import { credentialsOf, httpUpstream, startRouterHost } from "./support/router-host.ts";

const program = fileURLToPath(new URL("./fixtures/slow-echo.mjs", import.meta.url));

async function spawnProvider(http: "1.1" | "2"): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, [program, http], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  return { child, port: Number(String(line)) };
}

describe("kill -9 of one of two providers, under load", () => {
  it.each(["1.1", "2"] as const)("fails only calls that it had been sent, over HTTP/%s", async (http) => {
    await using host = await startRouterHost({ selection: "round-robin" });
    const [dead, alive] = await Promise.all([spawnProvider(http), spawnProvider(http)]);
    try {
      host.register("kv-dead", "kv", { upstream: httpUpstream(dead.port, http) });
      host.register("kv-alive", "kv", { upstream: httpUpstream(alive.port, http) });
      const headers = Object.entries(credentialsOf(host.issue("api")));
      using session = openSession(host.endpoint);
      const answered = { before: 0, after: 0 };
      const failures: (number | "cut")[] = [];
      const { promise: warm, resolve: warmUp } = Promise.withResolvers<void>();
      let killed = false;

      const callOnAndOn = async (caller: number): Promise<void> => {
        for (let call = 0; answered.after < 500; call++) {
          const began = killed;
          const body = `${caller}.${call}`;
          const request = { target: "/services/kv/-/echo", headers, body };
          const outcome = await requestHttp2(session, request).then(
            (answer) => (answer.status === 200 ? answer.body.toString() : answer.status),
            () => "cut" as const,
          );
          if (outcome === body) answered[began ? "after" : "before"]++;
          else failures.push(outcome === "cut" ? outcome : Number(outcome));
          if (answered.before === 200) warmUp();
        }
      };
      const callers = Array.from({ length: 32 }, (_, caller) => callOnAndOn(caller));
      await warm;
      const gone = once(dead.child, "exit");
      killed = dead.child.kill("SIGKILL");
      await gone;
      await Promise.all(callers);

      // As many as were under way when it died, at most: answered as a gateway does, or cut within their answer.
      expect(failures.length).toBeLessThanOrEqual(32);
      expect(failures.every((failure) => failure === 502 || failure === "cut")).toBe(true);
      const records: RoutedCallRecord[] = [];
      for (let count = answered.before + answered.after + failures.length; count > 0; count--) {
        records.push(await host.nextRecord());
      }
      const failed = records.filter(({ error }) => error !== undefined);
      expect(failed).toHaveLength(failures.length);
      for (const { provider, attempts, error } of failed) {
        expect({ provider, attempts }).toEqual({ provider: "kv-dead", attempts: 1 });
        expect(error?.cause instanceof RouteError && error.cause.fault).toBe("lost");
      }
      const rescued = records.filter(({ attempts, provider }) => attempts === 2 && provider === "kv-alive");
      expect(rescued.length).toBeGreaterThan(0);
    } finally {
      dead.child.kill("SIGKILL");
      alive.child.kill("SIGKILL");
    }
  });
});
