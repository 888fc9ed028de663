import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { definePlugin } from "../src/definition/plugin-definition.ts";
import { Logger } from "../src/gen/capability/logger/v1/logger_pb.ts";
import { LaunchError } from "../src/launch/launch-error.ts";
import { launchPlugin } from "../src/launch/launch-plugin.ts";
import { nodeStrategy } from "../src/launch/process/node-strategy.ts";
import { fixture } from "./fixtures/launch-fixture.ts";
import { createCertificates } from "./support/certificates.ts";
import { echo, serveEcho } from "./support/started-server.ts";

const logger = definePlugin({ name: "logger", version: "1.0.0", service: Logger });

async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return ConnectError.from(
    await work.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  );
}

describe("a plugin of ours", { timeout: 30_000 }, () => {
  it.each([
    { transport: "unix", endpoint: /^unix:/ },
    { transport: "tcp", endpoint: /^http:\/\/127\.0\.0\.1:/ },
  ] as const)("is launched, called and asked to end over $transport", async ({ transport, endpoint }) => {
    const strategy = nodeStrategy({ entry: fixture("logger-plugin.ts"), transport });
    const plugin = await launchPlugin({ strategy, plugins: { logger } });
    expect(plugin.endpoint).toMatch(endpoint);
    const client = await plugin.dispense("logger");
    await client.log({ level: "info", message: "hello" });
    expect(await plugin.stop({ graceMs: 20_000 })).toMatchObject({ code: 0, how: "asked" });
    expect(plugin.stderrTail()).toEqual(["info: hello"]);
  });

  it("runs under Node's permission model, given the folders its packages are linked from", async () => {
    const workspace = fixture("../../../..");
    const strategy = nodeStrategy({ entry: fixture("logger-plugin.ts"), permissions: { fsRead: [workspace] } });
    await using plugin = await launchPlugin({ strategy, plugins: { logger } });
    await (await plugin.dispense("logger")).log({ level: "info", message: "bounded" });
    expect(plugin.stderrTail()).toContain("info: bounded");
  });

  it("of another version ends at the handshake, and the error names both", async () => {
    const strategy = nodeStrategy({ entry: fixture("wrong-version-plugin.ts") });
    const error = await errorOf(launchPlugin({ strategy, plugins: { logger }, appProtocolVersions: [1, 2] }));
    expect(Code[error.code]).toBe("FailedPrecondition");
    expect(error.rawMessage).toMatch(/plugin logger failed \(stage: handshake\)/);
    expect(error.rawMessage).toMatch(/1, 2.*7, 8|7, 8.*1, 2/);
    expect(error.cause).toBeInstanceOf(LaunchError);
  });

  it("that crashes during a call fails it with its last words", async () => {
    const strategy = nodeStrategy({ entry: fixture("logger-plugin.ts") });
    await using plugin = await launchPlugin({ strategy, plugins: { logger } });
    const client = await plugin.dispense("logger");
    await errorOf(client.log({ level: "error", message: "crash" }));
    expect(await plugin.exited).toEqual({ code: 9, signal: null, how: "exited" });
    const error = await errorOf(client.log({ level: "info", message: "anybody there?" }));
    expect(Code[error.code]).toBe("Unavailable");
    expect(error.rawMessage).toMatch(/stage: running.*exited with code 9.*\n {2}error: crash$/s);
  });

  it("that serves TLS and wants credentials of its callers gets an identity and is asked to end", async () => {
    const { ca, server } = await createCertificates();
    await using host = await serveEcho();
    const withKey: Interceptor = (next) => (request) => {
      request.header.set("api-key", "k1");
      return next(request);
    };
    const plugin = await launchPlugin({
      strategy: nodeStrategy({
        entry: fixture("guarded-plugin.ts"),
        transport: "tcp",
        env: { TLS_CERT: server.cert, TLS_KEY: server.key, API_KEY: "k1" },
      }),
      plugins: { echo },
      host,
      tls: { ca },
      interceptors: [withKey],
    });
    expect(plugin.endpoint).toMatch(/^https:/);
    expect(host.identities.size).toBe(1);
    expect(await plugin.stop({ graceMs: 20_000 })).toMatchObject({ code: 0, how: "asked" });
  });

  it("does not hand on to what it starts itself by what its host knows it", async () => {
    const strategy = nodeStrategy({ entry: fixture("spawning-plugin.ts") });
    const plugin = await launchPlugin({ strategy, plugins: { logger } });
    await (await plugin.dispense("logger")).log({});
    expect(await plugin.stop({ graceMs: 20_000 })).toMatchObject({ code: 0, how: "asked" });
    expect(plugin.stderrTail()).toEqual(["inherited: "]);
  });

  it("can still be stopped after a stop with a bad grace", async () => {
    const plugin = await launchPlugin({
      strategy: nodeStrategy({ entry: fixture("logger-plugin.ts") }),
      plugins: { logger },
    });
    await expect(plugin.stop({ graceMs: -1 })).rejects.toThrow(/^graceMs must be/);
    await (await plugin.dispense("logger")).log({ level: "info", message: "still here" });
    expect(await plugin.stop({ graceMs: 20_000 })).toMatchObject({ code: 0, how: "asked" });
  });
});
