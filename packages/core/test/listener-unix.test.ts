import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openListener, peerOf } from "../src/listener/listener.ts";
import { connectRaw } from "./support/raw-client.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cpg-unix-"));
});
afterEach(() => rm(directory, { recursive: true }));

const open = (socketPath: string, mode?: number) =>
  openListener({
    address: { socketPath, mode },
    handler: (request, response) => void response.end(JSON.stringify(peerOf(request))),
  });

/** Leaves the socket file of a server that was killed. */
async function leaveStaleSocket(path: string): Promise<void> {
  const program = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await once(spawn(process.execPath, ["-e", program], { stdio: "ignore" }), "exit");
}

describe("listener on a Unix socket", () => {
  it("serves peers that have no address, and removes the file when it closes", async () => {
    const path = join(directory, "a.sock");
    const listener = await open(path);
    expect(listener.endpoint).toBe(`unix:${path}`);
    using client = await connectRaw(listener.address);
    client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await client.until('{"network":"unix"}');
    await listener.close();
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it.each([
    [undefined, 0o600],
    [0o660, 0o660],
  ])("gives the file the mode %o as %o", async (mode, expected) => {
    const path = join(directory, "a.sock");
    await using _ = await open(path, mode);
    expect((await stat(path)).mode & 0o777).toBe(expected);
  });

  it("makes the directory for its owner only", async () => {
    await using _ = await open(join(directory, "made", "a.sock"));
    expect((await stat(join(directory, "made"))).mode & 0o777).toBe(0o700);
  });

  it("replaces the file of a server that is gone", async () => {
    const path = join(directory, "a.sock");
    await leaveStaleSocket(path);
    expect((await stat(path)).isSocket()).toBe(true);
    await using listener = await open(path);
    using client = await connectRaw(listener.address);
    client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await client.until("200 OK");
  });

  it("refuses a path on which another server listens, and leaves that one alone", async () => {
    const path = join(directory, "a.sock");
    await using listener = await open(path);
    await expect(open(path)).rejects.toThrow(`cannot listen on ${path}: another server is listening there`);
    using client = await connectRaw(listener.address);
    client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await client.until("200 OK");
  });

  it("refuses a path with something else than a socket, and leaves it alone", async () => {
    const path = join(directory, "precious");
    await writeFile(path, "data");
    await expect(open(path)).rejects.toThrow("there is a file that is no socket");
    await symlink(path, join(directory, "link"));
    await expect(open(join(directory, "link"))).rejects.toThrow("there is a file that is no socket");
    expect((await stat(path)).size).toBe(4);
  });
});

describe("listener on a port", () => {
  it("refuses a port that is taken", async () => {
    const handler = () => {};
    await using listener = await openListener({ address: { port: 0 }, handler });
    const { port } = listener.address as { port: number };
    await expect(openListener({ address: { port }, handler })).rejects.toMatchObject({
      code: "EADDRINUSE",
      message: `cannot listen on http://127.0.0.1:${port} (EADDRINUSE): another program listens there; choose a port with listen: { port } or the variable PORT; 0 is any free one`,
    });
  });
});
