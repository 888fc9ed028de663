import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { openCallTransport, parseEndpoint } from "@cpg/core";
import { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { createPeerDeclarations } from "../src/attach/peer-declarations.ts";
import type { Upstream } from "../src/router/upstream.ts";
import { startAttachHost } from "./support/attach-host.ts";
import { foreignServices, startForeign } from "./support/foreign-plugin.ts";
import { identityOf } from "./support/identity-of.ts";

const peer = { network: "tcp", address: "127.0.0.1", port: 1, tls: undefined } as const;
const go = identityOf("go", { peer });
/** Where a plugin of HTTP/1.1 listens on this machine. */
function upstreamAt(port: number): Upstream {
  const place = { address: "127.0.0.1", port, authority: `127.0.0.1:${port}` };
  return { kind: "http", secure: false, servername: undefined, basePath: "", http: "1.1", ...place };
}

const provides = [{ type: "logger", version: "1.0.0", path: "/logger/" }];

describe("the declarations of a plugin that cannot declare when it shakes hands", () => {
  it("are asked for once it has registered, and bind it from then on", async () => {
    await using host = await startAttachHost();
    const asked = Promise.withResolvers<void>();
    const services = foreignServices({ info: { selfId: "go", provides, requires: [{ type: "clock" }] } });
    await using plugin = await startForeign((request, response) => {
      response.once("close", () => asked.resolve());
      services(request, response);
    });
    const calls = openCallTransport({ endpoint: parseEndpoint(host.endpoint), httpVersion: "1.1" });
    const registry = createClient(ServiceRegistry, calls.transport);
    const { identity, headers } = host.issue({ selfId: "go", peer });
    const register = (serviceType: string) =>
      registry
        .registerService(
          { serviceType, version: "1.0.0", endpointPath: "/", metadata: { base_url: plugin.url } },
          { headers },
        )
        .then(
          () => "registered",
          (error: unknown) => ConnectError.from(error).rawMessage,
        );
    expect(await register("logger")).toBe("registered");
    await asked.promise;
    await expect.poll(() => host.declarations.of(identity)?.requires).toMatchObject([{ type: "clock" }]);
    expect(await register("logger")).toBe("registered");
    expect(await register("cache")).toMatch(/it did not declare to provide it in version 1\.0\.0/);
    await calls.close();
    expect(host.errors).toEqual([]);
  });

  it.each<[what: string, listener: Parameters<typeof startForeign>[0], declares: object | undefined]>([
    ["what it says", foreignServices({ info: { selfId: "go", provides } }), { provides, requires: [] }],
    ["what it says without a name", foreignServices({ info: { provides } }), { provides, requires: [] }],
    ["nothing, if it says nothing", foreignServices({ info: { selfId: "go" } }), undefined],
    ["nothing, if it does not serve that", foreignServices({}), undefined],
    ["nothing, if it knows no such path", (_request, response) => response.writeHead(404).end(), undefined],
  ])("are %s", async (_what, listener, declares) => {
    await using plugin = await startForeign(listener);
    const declarations = createPeerDeclarations({ clock: new FakeClock(), random: () => 0 });
    await declarations.ask(go, upstreamAt(plugin.port));
    expect(declarations.of(go)).toEqual(declares);
  });

  it.each<[what: string, info: object, code: Code]>([
    ["another plugin answers", { selfId: "other", provides }, Code.FailedPrecondition],
    ["it breaks the rules", { selfId: "go", provides: [{ type: "a/b" }] }, Code.InvalidArgument],
  ])("are unknown when %s", async (_what, info, code) => {
    await using plugin = await startForeign(foreignServices({ info }));
    const declarations = createPeerDeclarations({ clock: new FakeClock(), random: () => 0 });
    const failed = await declarations.ask(go, upstreamAt(plugin.port)).catch((error: unknown) => error);
    expect(ConnectError.from(failed).code).toBe(code);
    expect(declarations.of(go)).toBeUndefined();
  });

  /** A port at which nobody listens any more. */
  async function freePort(): Promise<number> {
    const free = await startForeign(() => {});
    await free[Symbol.asyncDispose]();
    return free.port;
  }

  it("are asked for until it listens", async () => {
    const clock = new FakeClock();
    const port = await freePort();
    const declarations = createPeerDeclarations({ clock, random: () => 0 });
    const asking = declarations.ask(go, upstreamAt(port));
    await expect.poll(() => clock.nextDueMs).toBe(50);
    await using _plugin = await startForeign(foreignServices({ info: { selfId: "go", provides } }), { port });
    await clock.advance(50);
    await asking;
    expect(declarations.of(go)).toEqual({ provides, requires: [] });
    expect(clock.pending).toBe(0);
  });

  it("are asked for ten times, and not again", async () => {
    const clock = new FakeClock();
    const declarations = createPeerDeclarations({ clock, random: () => 0 });
    const failed = declarations.ask(go, upstreamAt(await freePort())).catch((error: unknown) => error);
    const delays: number[] = [];
    for (let attempt = 1; attempt < 10; attempt++) {
      // The bound on a connection is longer than any of the delays.
      await expect.poll(() => (clock.nextDueMs ?? Number.POSITIVE_INFINITY) < 5_000).toBe(true);
      delays.push(clock.nextDueMs ?? 0);
      await clock.advance(clock.nextDueMs ?? 0);
    }
    expect(ConnectError.from(await failed).code).toBe(Code.Unavailable);
    expect(delays).toEqual([50, 100, 200, 400, 800, 1_600, 2_500, 2_500, 2_500]);
    expect(clock.pending).toBe(0);
  });

  it("are asked for no longer than the identity lives, or the host", async () => {
    const clock = new FakeClock();
    const declarations = createPeerDeclarations({ clock, random: () => 0 });
    const upstream = upstreamAt(await freePort());
    const ended = new AbortController();
    const first = declarations.ask({ ...identityOf("go"), ended: ended.signal }, upstream);
    const second = declarations.ask(identityOf("go"), upstream);
    await expect.poll(() => clock.nextDueMs).toBe(50);
    ended.abort(new Error("ended"));
    await first;
    declarations.close();
    await second;
    expect(clock.pending).toBe(0);
    await declarations.ask(identityOf("go"), upstream);
  });

  it("are not asked for when it declared, or the host knows them", async () => {
    const declarations = createPeerDeclarations({ clock: new FakeClock() });
    const nowhere = upstreamAt(await freePort());
    const ours = identityOf("ours", { declares: { provides: [], requires: [] } });
    await declarations.ask(ours, nowhere);
    expect(declarations.of(ours)).toBe(ours.declares);
    const known = identityOf("known");
    declarations.learn(known, { provides, requires: [] });
    await declarations.ask(known, nowhere);
    expect(declarations.of(known)).toEqual({ provides, requires: [] });
  });
});
