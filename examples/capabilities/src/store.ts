import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { capabilityGrantKey, defineCapability } from "@cpg/broker";
import { Store } from "./capabilities.ts";
import { createTable, type Table } from "./table.ts";

const maxKey = 256;
const maxValue = 64 * 1024;

/** Lends each plugin a store of its own: which one is said by the grant, never by the request. */
export function lentStore() {
  const tables = new Map<string, Table>();
  const tableOf = ({ values }: HandlerContext): Table => {
    const grant = values.get(capabilityGrantKey);
    if (grant === undefined) throw new ConnectError("only plugins have a store", Code.Unauthenticated);
    // By the plugin's name, so that its next incarnation finds what it left. Whoever may call itself so is admission's matter.
    const { selfId } = grant.holder;
    const table = tables.get(selfId) ?? createTable();
    tables.set(selfId, table);
    return table;
  };
  return defineCapability(
    Store.service,
    {
      put({ key, value }, context) {
        if (key === "" || key.length > maxKey) {
          throw new ConnectError(`key must have 1 to ${maxKey} characters`, Code.InvalidArgument);
        }
        if (value.length > maxValue) {
          throw new ConnectError(`value must have at most ${maxValue} characters`, Code.InvalidArgument);
        }
        tableOf(context).put({ key, value });
        return {};
      },
      get({ key }, context) {
        const value = tableOf(context).get(key);
        if (value === undefined) throw new ConnectError("the key has no value", Code.NotFound);
        return { value };
      },
      async *watch(_, context) {
        const changes = tableOf(context).follow(context.signal);
        yield {};
        yield* changes;
      },
    },
    Store,
  );
}
