import type { TLSSocket } from "node:tls";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { startAttachHost } from "./support/attach-host.ts";
import { foreignServices, startForeign } from "./support/foreign-plugin.ts";
import { createSelfSigned } from "./support/self-signed.ts";

describe("a name", () => {
  it("is resolved once, and what it meant then is connected to, under its name", async () => {
    const answers = [["127.0.0.1"], ["192.0.2.1"]];
    const asked: string[] = [];
    await using host = await startAttachHost({
      upstreams: {
        async lookUp(name) {
          asked.push(name);
          return answers.shift() ?? [];
        },
      },
    });
    const seen: (string | undefined)[] = [];
    const services = foreignServices({ info: { selfId: "p" }, health: "healthy" });
    await using plugin = await startForeign((request, response) => {
      seen.push(request.headers.host);
      services(request, response);
    });
    const attached = await host.attacher.attach(`http://plugin.test:${plugin.port}`, { registerWaitMs: 0 });
    expect(await attached.health()).toMatchObject({ level: "healthy" });
    expect(asked).toEqual(["plugin.test"]);
    expect(new Set(seen)).toEqual(new Set([`plugin.test:${plugin.port}`]));
  });
});

describe("an https plugin", () => {
  it("has to show a certificate for its name, wherever that leads", async () => {
    const certificate = await createSelfSigned("plugin.test");
    const upstreams = { lookUp: async () => ["127.0.0.1"] };
    await using host = await startAttachHost({ upstreams, tls: { ca: certificate.cert } });
    const seen: unknown[] = [];
    const services = foreignServices({ info: { selfId: "p" }, health: "healthy" });
    await using plugin = await startForeign(
      (request, response) => {
        seen.push((request.socket as TLSSocket).servername);
        services(request, response);
      },
      { tls: certificate },
    );
    const attached = await host.attacher.attach(`https://plugin.test:${plugin.port}`, { registerWaitMs: 0 });
    expect(attached.info.selfId).toBe("p");
    expect(await attached.health()).toMatchObject({ level: "healthy" });
    expect(new Set(seen)).toEqual(new Set(["plugin.test"]));
    const other = host.attacher.attach(`https://other.test:${plugin.port}`);
    await expect(other).rejects.toMatchObject({ code: Code.Unavailable });
  });
});

describe("a redirect", () => {
  it("is not followed", async () => {
    await using host = await startAttachHost();
    let reached = 0;
    await using target = await startForeign((_request, response) => {
      reached++;
      response.end();
    });
    await using plugin = await startForeign((_request, response) => {
      response.writeHead(307, { location: `${target.url}/connectplugin.v1.PluginIdentity/GetPluginInfo` }).end();
    });
    const attached = await host.attacher.attach(plugin.url, { selfId: "p", registerWaitMs: 0 });
    expect(await attached.health()).toBeUndefined();
    await expect(attached.shutdown()).rejects.toMatchObject({ code: Code.Unknown });
    expect(reached).toBe(0);
  });
});
