import { Code, ConnectError } from "@connectrpc/connect";
import { createChangeFeed } from "./change-feed.ts";
import type { KV } from "./gen/kv/v1/kv_cpg.ts";
import { EventType } from "./gen/kv/v1/kv_pb.ts";
import type { KvTable } from "./kv-table.ts";

const maxKeyBytes = 1_024;

/** The implementation of the plugin. `close` ends its watches. */
export interface KvServiceImpl extends KV {
  close(): void;
}

export function createKvService(table: KvTable): KvServiceImpl {
  const feed = createChangeFeed();
  return {
    get({ key }) {
      const value = table.get(checkKey(key));
      return value === undefined ? { found: false } : { found: true, value };
    },
    put({ key, value }) {
      table.put(checkKey(key), value);
      feed.publish({ key, value });
      return {};
    },
    delete({ key }) {
      const found = table.delete(checkKey(key));
      if (found) feed.publish({ key, value: undefined });
      return { found };
    },
    async *watch({ prefix }, { signal }) {
      const changes = feed.follow(prefix, signal);
      yield { type: EventType.UNSPECIFIED };
      for await (const { key, value } of changes) {
        yield value === undefined ? { type: EventType.DELETE, key } : { type: EventType.PUT, key, value };
      }
    },
    close: () => feed.close(),
  };
}

function checkKey(key: string): string {
  if (key === "") throw new ConnectError("key must not be empty", Code.InvalidArgument);
  const bytes = Buffer.byteLength(key);
  if (bytes > maxKeyBytes) {
    throw new ConnectError(`key must have at most ${maxKeyBytes} bytes, has ${bytes}`, Code.InvalidArgument);
  }
  return key;
}
