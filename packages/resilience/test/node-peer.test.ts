import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer as createHttp, get, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { connect, createServer as createHttp2, type Http2ServerRequest } from "node:http2";
import { type AddressInfo, connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodePeer, type Peer } from "@cpg/resilience";
import { expect, it } from "vitest";

async function listen(server: Server | ReturnType<typeof createHttp2>, where: number | string = 0): Promise<number> {
  server.listen(typeof where === "number" ? { port: where, host: "127.0.0.1" } : { path: where });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

it("is the same for all requests of an HTTP/1.1 connection, another for the next connection", async () => {
  const peers: Peer[] = [];
  const handler: RequestListener = (request, response) => {
    peers.push(nodePeer(request));
    response.end();
  };
  const server = createHttp(handler);
  const port = await listen(server);
  const get = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (const requests of [`${get}\r\n${get}Connection: close\r\n\r\n`, `${get}Connection: close\r\n\r\n`]) {
    const socket = connectSocket(port, "127.0.0.1").resume();
    socket.write(requests);
    await once(socket, "close");
  }
  expect(peers[0]).toMatchObject({ network: "tcp", address: "127.0.0.1", port: expect.any(Number), tls: undefined });
  expect(peers[1]).toBe(peers[0]);
  expect(peers[2]).not.toBe(peers[0]);
  server.close();
});

it("is the same for all streams of an HTTP/2 session", async () => {
  const peers: Peer[] = [];
  const server = createHttp2((request, response) => {
    peers.push(nodePeer(request));
    response.end();
  });
  const session = connect(`http://127.0.0.1:${await listen(server)}`);
  for (let count = 0; count < 2; count++) await once(session.request().resume(), "close");
  session.close();
  expect(peers[0]).toMatchObject({ network: "tcp", address: "127.0.0.1", tls: undefined });
  expect(peers[1]).toBe(peers[0]);
  server.close();
});

it("knows a Unix socket", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cpg-peer-"));
  const socketPath = join(folder, "s");
  const peers: Peer[] = [];
  const server = createHttp((request, response) => {
    peers.push(nodePeer(request));
    response.end();
  });
  await listen(server, socketPath);
  const [response] = (await once(get({ socketPath }), "response")) as [IncomingMessage];
  await once(response.resume(), "end");
  expect(peers).toEqual([{ network: "unix", address: undefined, port: undefined, tls: undefined }]);
  server.close();
  await rm(folder, { recursive: true });
});

it("takes a connection that has ended for no Unix socket", async () => {
  const held = Promise.withResolvers<IncomingMessage | Http2ServerRequest>();
  const server = createHttp((request) => held.resolve(request));
  const socket = connectSocket(await listen(server), "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const request = await held.promise;
  const closed = once(request.socket, "close");
  socket.destroy();
  await closed;
  expect(nodePeer(request)).toEqual({ network: "tcp", address: undefined, port: undefined, tls: undefined });
  server.close();
});
