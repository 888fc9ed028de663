import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { text } from "node:stream/consumers";
import { forkServer } from "../launch/forked-server.ts";
import type { Table, Variant } from "../table.ts";

const measure = "bytes of memory at the server, of each";
const bare = "idle connection of node:http2";
const ours = "idle plugin of a host: connection and identity";

const counts = { short: 20, full: 500 };

const handshake = JSON.stringify({
  coreProtocolVersion: 1,
  appProtocolVersion: 1,
  magicCookieKey: "CONNECT_PLUGIN",
  magicCookieValue: "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e",
  selfId: "idle",
});

async function post(session: ClientHttp2Session, path: string, body: string): Promise<string> {
  const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/json" });
  stream.end(body);
  const [head] = await once(stream, "response");
  const answer = await text(stream);
  assert.equal(head[":status"], 200, answer);
  return answer;
}

/** Each connection asks once, as a plugin that comes does, and then keeps still. */
async function bytesOfEach(address: string, count: number): Promise<number> {
  const asking = connect(`http://${address}`);
  const used = async (): Promise<number> => Number(await post(asking, "/memory", ""));
  const sessions: ClientHttp2Session[] = [];
  try {
    await used();
    const before = await used();
    for (let index = 0; index < count; index++) {
      const session = connect(`http://${address}`);
      sessions.push(session);
      const answer = await post(session, "/connectplugin.v1.HandshakeService/Handshake", handshake);
      assert.equal(typeof JSON.parse(answer), "object");
    }
    return ((await used()) - before) / count;
  } finally {
    for (const session of sessions) session.destroy();
    asking.destroy();
  }
}

function variant(name: string, server: "host" | "http2"): Variant {
  const program = new URL("./idle-main.ts", import.meta.url);
  return {
    name,
    setup: async () => ({
      // A process for each round: what the round before has left would count otherwise.
      cases: new Map([
        [
          measure,
          {
            kind: "figure",
            async figure(_seed, size) {
              const forked = await forkServer(program, [server]);
              try {
                return await bytesOfEach(forked.address, counts[size]);
              } finally {
                await forked.close();
              }
            },
          },
        ],
      ]),
      close: async () => {},
    }),
  };
}

/** What a plugin costs its host that does nothing. */
export const idleTable: Table = {
  name: "idle",
  title: "what a host holds for each idle plugin",
  measures: [{ name: measure, unit: "count", base: bare }],
  variants: [variant(bare, "http2"), variant(ours, "host")],
  goals: [],
};
