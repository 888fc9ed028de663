import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServiceProcess, startService } from "../src/service-process.ts";

let host: ServiceProcess;
beforeAll(async () => {
  host = await startService("host");
}, 60_000);
afterAll(() => host.stop(), 60_000);

/** A call as any HTTP client of any language makes it. */
async function call(path: string, message: object, headers: Readonly<Record<string, string>> = {}) {
  const response = await fetch(`${host.endpoint}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(message),
  });
  const body: unknown = await response.json();
  return { status: response.status, body };
}

/** Returns the headers that prove who calls. */
async function handshake(selfId: string): Promise<Record<string, string>> {
  const { body } = await call("/connectplugin.v1.HandshakeService/Handshake", {
    coreProtocolVersion: 1,
    appProtocolVersion: 1,
    magicCookieKey: "CONNECT_PLUGIN",
    magicCookieValue: "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e",
    selfId,
    selfVersion: "1.0.0",
  });
  const { runtimeId, runtimeToken } = body as Record<string, string>;
  return { "x-plugin-runtime-id": `${runtimeId}`, authorization: `Bearer ${runtimeToken}` };
}

describe("a service", { timeout: 60_000 }, () => {
  it("says that it has no host and why, and when it has joined one", async () => {
    const hostOf = (line: RegExp, hostUrl: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const onLine = (said: string): void => void (line.test(said) && resolve(said));
        const service = startService("logger", { environment: { HOST_URL: hostUrl }, onLine });
        services.push(service);
        service.catch(reject);
      });
    const services: Promise<ServiceProcess>[] = [];
    try {
      // Port 1 is nobody's.
      await expect(hostOf(/no host/, "http://127.0.0.1:1")).resolves.toMatch(
        /^logger has no host and tries again: .*ECONNREFUSED/,
      );
      await expect(hostOf(/joined/, host.endpoint)).resolves.toBe("logger has joined the host");
    } finally {
      for (const service of services) await service.then(({ stop }) => stop());
    }
  });
});

describe("the bare host", { timeout: 60_000 }, () => {
  it("takes a program that speaks nothing but HTTP and JSON, and routes calls to it", async () => {
    const server = createServer((request, response) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ path: request.url, caller: request.headers["x-plugin-caller-id"] }));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    try {
      const registered = await call(
        "/connectplugin.v1.ServiceRegistry/RegisterService",
        {
          serviceType: "hello",
          version: "1.0.0",
          endpointPath: "/",
          metadata: { base_url: `http://127.0.0.1:${port}` },
        },
        await handshake("hello"),
      );
      expect(registered).toMatchObject({ status: 200, body: { registrationId: expect.any(String) } });
      await host.lines.next(/^hello is available/);
      const consumer = await handshake("consumer");
      expect(await call("/services/hello/-/acme.v1.Hello/Say", {}, consumer)).toEqual({
        status: 200,
        body: { path: "/acme.v1.Hello/Say", caller: consumer["x-plugin-runtime-id"] },
      });
      await host.lines.next(/^call consumer -> hello \/acme\.v1\.Hello\/Say ok/);
    } finally {
      server.closeAllConnections();
      server.close();
    }
    await host.lines.next(/^hello is unavailable/);
    expect(await (await fetch(`${host.endpoint}/graph`)).text()).toMatch(/^flowchart LR\n +p0\["hello-/);
  });

  it("listens on this machine only, and refuses to listen elsewhere without being told who may join", async () => {
    expect(new URL(host.endpoint).hostname).toBe("127.0.0.1");
    const program = fileURLToPath(new URL("../host/src/main.ts", import.meta.url));
    const env = { PORT: "0", LISTEN_HOST: "0.0.0.0" };
    await expect(promisify(execFile)(process.execPath, [program], { env })).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("needs an admission policy"),
    });
    const open = await startService("host", {
      environment: { ...env, ALLOW_PEERS: "10.0.0.0/8", CONNECTPLUGIN_DISABLE_TLS_WARNING: "1" },
    });
    await open.stop();
  });
});
