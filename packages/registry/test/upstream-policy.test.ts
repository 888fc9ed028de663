import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { startAttachHost } from "./support/attach-host.ts";
import { foreignServices, startForeign } from "./support/foreign-plugin.ts";

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
