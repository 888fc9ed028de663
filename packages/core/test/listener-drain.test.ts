import { spawn } from "node:child_process";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { fileURLToPath } from "node:url";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import {
  type Listener,
  type ListenerOptions,
  type NodeServerResponse,
  openListener,
} from "../src/listener/listener.ts";
import { collect } from "./support/collect.ts";
import { createEventLog } from "./support/event-log.ts";
import { connectRaw } from "./support/raw-client.ts";

const head = "GET /x HTTP/1.1\r\nHost: localhost\r\n";

/** A listener on a fake clock whose handler leaves every request unanswered. */
async function open(options: Partial<ListenerOptions> = {}) {
  const clock = new FakeClock();
  const held = createEventLog<NodeServerResponse>();
  const listener = await openListener({
    address: { port: 0 },
    handler: (_, response) => held.add(response),
    clock,
    ...options,
  });
  return { clock, held, listener, [Symbol.asyncDispose]: () => listener.close() };
}

function connectSession(listener: Listener): ClientHttp2Session {
  const session = connectHttp2(listener.endpoint);
  session.on("error", () => {}); // tests look at its streams and its end
  return session;
}

const closed = (session: ClientHttp2Session) => new Promise((resolve) => session.once("close", resolve));

describe("drain", () => {
  it("closes at once when there is nothing", async () => {
    await using server = await open();
    await expect(server.listener.drain(1_000)).resolves.toEqual({ cut: 0 });
    expect(server.clock.pending).toBe(0);
  });

  it("refuses new connections, and closes those that are opening or idle", async () => {
    await using server = await open({ handler: (_, response) => void response.end("done") });
    const { listener, clock } = server;
    using opening = await connectRaw(listener.address);
    using idle = await connectRaw(listener.address);
    idle.write(`${head}\r\n`);
    await idle.until("done");
    const session = connectSession(listener);
    await once(session.request().resume(), "close");
    await clock.waitForSleep(2);
    const sessionClosed = closed(session);
    await expect(listener.drain(1_000)).resolves.toEqual({ cut: 0 });
    await Promise.all([opening.closed, idle.closed, sessionClosed]);
    await expect(connectRaw(listener.address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect([listener.connections, clock.pending]).toEqual([0, 0]);
  });

  it("lets an HTTP/1.1 call finish, with Connection: close, then closes its connection", async () => {
    await using server = await open();
    const { listener, held } = server;
    using client = await connectRaw(listener.address);
    client.write(`${head}\r\n`);
    const response = await held.find(() => true);
    const drained = listener.drain(1_000);
    response.end("finished");
    expect(await client.closed).toMatch(/\r\nconnection: close\r\n.*finished/is);
    await expect(drained).resolves.toEqual({ cut: 0 });
  });

  it("closes the connection of an HTTP/1.1 answer that had begun", async () => {
    await using server = await open();
    const { listener, held } = server;
    using client = await connectRaw(listener.address);
    client.write(`${head}\r\n`);
    const response = await held.find(() => true);
    response.write("begun, ");
    await client.until("begun, ");
    const drained = listener.drain(1_000);
    response.end("finished");
    expect(await client.closed).toMatch(/begun, .*finished/s);
    await expect(drained).resolves.toEqual({ cut: 0 });
  });

  it("answers what comes behind an HTTP/1.1 answer that had begun", async () => {
    await using server = await open();
    const { listener, held } = server;
    using client = await connectRaw(listener.address);
    client.write(`${head}\r\n`);
    const response = await held.find(() => true);
    response.write("begun, ");
    await client.until("begun, ");
    const drained = listener.drain(1_000);
    client.write(`${head}\r\n`);
    const second = await held.find((other) => other !== response);
    response.end("finished");
    second.end("second");
    expect(await client.closed).toMatch(/begun, .*finished.*\r\nconnection: close\r\n.*second/is);
    await expect(drained).resolves.toEqual({ cut: 0 });
  });

  it("lets an HTTP/2 call finish, and sends GOAWAY", async () => {
    await using server = await open();
    const { listener, held } = server;
    const session = connectSession(listener);
    const stream = session.request().setEncoding("utf8");
    const response = await held.find(() => true);
    const goaway = once(session, "goaway");
    const sessionClosed = closed(session);
    const drained = listener.drain(1_000);
    await goaway;
    response.end("finished");
    expect((await once(stream, "data"))[0]).toBe("finished");
    await Promise.all([drained, sessionClosed]);
    await expect(drained).resolves.toEqual({ cut: 0 });
  });

  it.each(["1.1", "2"])("cuts a stuck HTTP/%s stream after the grace, not before", async (version) => {
    await using server = await open();
    const { listener, held, clock } = server;
    const session = version === "2" ? connectSession(listener) : undefined;
    const call = session?.request() ?? httpRequest(listener.endpoint).end();
    const failed = new Promise((resolve) => call.on("error", () => {}).once("close", resolve));
    const response = await held.find(() => true);
    response.write("begun");
    const drained = listener.drain(5_000);
    await clock.advance(4_999);
    expect(listener.inFlight).toBe(1);
    await clock.advance(1);
    await expect(drained).resolves.toEqual({ cut: 1 });
    await failed;
    expect([listener.inFlight, listener.connections, clock.pending]).toEqual([0, 0, 0]);
  });

  it("shares its result; a shorter grace wins, a longer one does not", async () => {
    await using server = await open();
    const { listener, held, clock } = server;
    const call = httpRequest(listener.endpoint).on("error", () => {});
    call.end();
    await held.find(() => true);
    const first = listener.drain(10_000);
    const longer = listener.drain(60_000);
    await clock.advance(1_000);
    const shorter = listener.drain(2_000);
    await clock.advance(1_999);
    expect(listener.inFlight).toBe(1);
    await clock.advance(1);
    await expect(Promise.all([first, longer, shorter])).resolves.toEqual([{ cut: 1 }, { cut: 1 }, { cut: 1 }]);
    await expect(listener.drain(0)).resolves.toEqual({ cut: 1 });
  });

  it("close cuts at once, needs no clock, and may be called twice", async () => {
    await using server = await open();
    const { listener, held, clock } = server;
    const call = httpRequest(listener.endpoint).on("error", () => {});
    call.end();
    await held.find(() => true);
    await Promise.all([listener.close(), listener.close()]);
    await expect(listener.drain(0)).resolves.toEqual({ cut: 1 });
    expect(clock.pending).toBe(0);
  });

  it("does not wait the whole grace for a peer without calls that never reacts to the good-bye", async () => {
    await using server = await open();
    const { listener, clock } = server;
    using frozen = await connectRaw(listener.address);
    frozen.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0");
    await frozen.until("\u0004\u0001\0\0\0\0");
    frozen.socket.pause();
    const drained = listener.drain(30_000);
    await clock.advance(1_000);
    await expect(drained).resolves.toEqual({ cut: 0 });
  });

  it.each([-1, Number.NaN])("refuses a grace of %d", async (graceMs) => {
    await using server = await open();
    await expect(server.listener.drain(graceMs)).rejects.toThrow(RangeError);
  });

  it("leaves nothing that keeps the process alive", async () => {
    const program = new URL("./support/listen-and-close.ts", import.meta.url);
    const child = spawn(process.execPath, [fileURLToPath(program)], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "close");
    const output = await collect<Buffer>(child.stdout);
    expect(Buffer.concat(output).toString()).toBe("closed\n");
    await expect(exited).resolves.toEqual([0, null]);
  });
});
