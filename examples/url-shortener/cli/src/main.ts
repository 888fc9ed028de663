// shorten URL | resolve CODE. API_URL: where the api is (default http://localhost:8083).
import { ConnectError } from "@connectrpc/connect";
import { createPluginClient } from "@cpg/core";
import { shortenerPlugin } from "@cpg/example-url-shortener-contracts";

const { API_URL = "http://localhost:8083" } = process.env;
const [command, argument] = process.argv.slice(2);
if (argument === undefined || (command !== "shorten" && command !== "resolve")) {
  console.error("usage: shorten URL | resolve CODE");
  process.exit(2);
}
const client = createPluginClient({ endpoint: API_URL, plugins: { api: shortenerPlugin } });
try {
  const shortener = await client.dispense("api");
  if (command === "shorten") console.log((await shortener.shorten({ url: argument })).code);
  else console.log((await shortener.resolve({ code: argument })).url);
} catch (reason) {
  console.error(`${command} failed: ${ConnectError.from(reason).rawMessage}`);
  process.exitCode = 1;
} finally {
  await client.close();
}
