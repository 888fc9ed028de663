import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ServiceImpl } from "@connectrpc/connect";
import { definePlugin, type LinkOptions, serve } from "@cpg/core";
import { describe, expect, it } from "vitest";
import { fileEndpoints, registryClient } from "../src/index.ts";
import { RelayService } from "./support/relay-service.ts";

const program = fileURLToPath(new URL("./fixtures/guests-host.ts", import.meta.url));

interface Seen {
  readonly guests: readonly string[];
  readonly available: readonly string[];
}

/** A host in a process of its own, which has no plugins but those that come by themselves. */
async function startHost(port = 0) {
  const host = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
    env: { PATH: process.env.PATH, PORT: String(port) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(host, "exit");
  const lines = createInterface({ input: host.stdout });
  const url = Promise.withResolvers<string>();
  exited.then(() => url.reject(new Error("the host ended")));
  let seen: Seen = { guests: [], available: [] };
  lines.on("line", (line) => {
    const said = JSON.parse(line);
    if ("url" in said) url.resolve(said.url);
    else seen = said;
  });
  return {
    url: await url.promise,
    /** Who has come, and what is available, as its state tells. */
    seen: () => seen,
    async kill() {
      host.kill("SIGKILL");
      await exited;
    },
    async [Symbol.asyncDispose]() {
      host.kill("SIGKILL");
      await exited;
    },
  };
}

const all = ["fixed", "foreign", "found"];

function defineGuest(type: string) {
  return definePlugin({
    name: type,
    version: "1.0.0",
    service: RelayService,
    provides: [{ type, version: "1.0.0" }],
    requires: all.map((needed) => ({ type: needed, requiredForStartup: false })),
  });
}

/** A plugin of ours that registers itself. Its signs of life are too rare to help it. */
async function startGuest(type: string, link: LinkOptions) {
  const impl: Partial<ServiceImpl<typeof RelayService>> = { unary: ({ text }) => ({ text: `${type} ${text}` }) };
  return await serve({
    plugins: { [type]: defineGuest(type) },
    impls: { [type]: impl as ServiceImpl<typeof RelayService> },
    selfId: type,
    declares: {
      requires: ["fixed", "found", "foreign"].map((needed) => ({ type: needed, requiredForStartup: false })),
    },
    link: { heartbeatMs: 3_600_000, backoff: { initialMs: 50, maxMs: 500 }, ...link },
    listen: { port: 0 },
    environment: {},
    handleSignals: false,
  });
}

/** A plugin that knows no more than the protocol: it registers when it is told to. */
async function startForeign() {
  const server = createServer((request, response) => {
    request.resume();
    response.setHeader("content-type", request.headers["content-type"] ?? "text/plain");
    response.statusCode = request.url?.startsWith("/connectplugin.") ? 404 : 200;
    response.end(); // the empty message
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const call = async (url: string, message: object, headers: Readonly<Record<string, string>> = {}) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(message),
    });
    return (await response.json()) as { readonly runtimeId: string; readonly runtimeToken: string };
  };
  return {
    async register(hostUrl: string) {
      const { runtimeId, runtimeToken } = await call(`${hostUrl}/connectplugin.v1.HandshakeService/Handshake`, {
        coreProtocolVersion: 1,
        appProtocolVersion: 1,
        magicCookieKey: "CONNECT_PLUGIN",
        magicCookieValue: "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e",
        selfId: "foreign",
      });
      await call(
        `${hostUrl}/connectplugin.v1.ServiceRegistry/RegisterService`,
        {
          serviceType: "foreign",
          version: "1.0.0",
          endpointPath: "/",
          metadata: { base_url: `http://127.0.0.1:${port}` },
        },
        { "x-plugin-runtime-id": runtimeId, authorization: `Bearer ${runtimeToken}` },
      );
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

describe("a host that is killed and starts again", { timeout: 60_000 }, () => {
  it("has the plugins of ours that had come by themselves, at its old place or where they find it, and others when they register", async () => {
    const directory = await mkdtemp(join(tmpdir(), "hosts-"));
    const path = join(directory, "hosts.json");
    try {
      await using first = await startHost();
      await writeFile(path, JSON.stringify([first.url]));
      await using fixed = await startGuest("fixed", { hostUrl: first.url });
      await using found = await startGuest("found", { hostUrl: fileEndpoints({ path }) });
      await using foreign = await startForeign();
      const links = [fixed.link, found.link].filter((link) => link !== undefined);
      await Promise.all(links.map((link) => link.whenLinked()));
      await foreign.register(first.url);
      await expect.poll(first.seen).toEqual({ guests: all, available: all });
      await first.kill();

      await using second = await startHost(Number(new URL(first.url).port));
      const ours = ["fixed", "found"];
      await expect.poll(second.seen).toEqual({ guests: ours, available: ours });
      await foreign.register(second.url);
      await expect.poll(second.seen).toEqual({ guests: all, available: all });
      const services = await Promise.all(
        links.map(async (link) => {
          await link.whenLinked();
          await using client = registryClient(link);
          const relays = all.map((type) => client.service(defineGuest(type)));
          return await Promise.all(relays.map(async (relay) => (await relay.unary({ text: "again" })).text));
        }),
      );
      expect(services).toEqual(links.map(() => ["fixed again", "", "found again"]));
      await second.kill();

      await using third = await startHost();
      await writeFile(path, JSON.stringify([third.url]));
      await expect.poll(third.seen).toEqual({ guests: ["found"], available: ["found"] });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
