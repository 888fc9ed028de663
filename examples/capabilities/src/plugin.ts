// A plugin that lives on what its host lends: node plugin.ts, with HOST_URL, and SELF_ID for its name. On stdout it tells
// what it got; it ends when it was told "end" on stdin.
import { once } from "node:events";
import { createInterface } from "node:readline";
import { ConnectError } from "@connectrpc/connect";
import { capability, LoggerCapability } from "@cpg/broker";
import { serve } from "@cpg/core";
import { Secrets, Store } from "./capabilities.ts";

const selfId = process.env.SELF_ID ?? "greeter";
const requires = [LoggerCapability, Secrets, Store].map(({ type }) => ({ type, requiredForStartup: false }));
const server = await serve({ plugins: {}, impls: {}, selfId, declares: { requires }, listen: { port: 0 } });
const { link } = server;
if (link === undefined) throw new Error("a program without extensions has a link");
await link.whenLinked();

const log = capability(link, LoggerCapability, { reason: "to tell what it does" });
const secrets = capability(link, Secrets, { reason: "to greet" });
const store = capability(link, Store);

/** The result, or the code and text of the error. */
const attempt = (call: Promise<{ readonly value: string }>): Promise<string> =>
  call.then(
    ({ value }) => value,
    (reason: unknown) => ConnectError.from(reason).message,
  );

console.log(`secret: ${await attempt(secrets.getSecret({ name: "greeting" }))}`);
await log.log({ level: "info", message: "the secret was read\nor not", fields: { color: "green" } });

await store.put({ key: "seen", value: `by ${selfId}` });
console.log(`stored: ${await attempt(store.get({ key: "seen" }))}`);
const watching = (async () => {
  try {
    for await (const { key, value } of store.watch({})) {
      if (key === "") await store.put({ key: "mood", value: "good" });
      else console.log(`changed: ${key} is ${value}`);
    }
  } catch (reason) {
    console.log(`watch ended: ${ConnectError.from(reason).message}`);
    console.log(`asked again: ${await attempt(store.get({ key: "mood" }))}`);
  }
})();

const input = createInterface(process.stdin);
await once(input, "close");
await server.close();
await watching;
