import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { definePlugin, nodeStrategy } from "@cpg/core";
import { createPlatform, type Platform, type PlatformPlugin } from "@cpg/registry";
import { EchoService } from "../gen/bench/v1/echo_pb.ts";
import { linkDefinition } from "./chain.ts";

const entry = fileURLToPath(new URL("./chain-plugin-main.ts", import.meta.url));
const nodeArgs = ["--disable-warning=ExperimentalWarning"];
/** Arguments of Node. */
export const chainEntry = [...nodeArgs, entry] as const;

/** One platform for all rounds: a host that runs. */
export async function startPlatform(): Promise<Platform> {
  return await createPlatform({ host: { listen: { port: 0 }, environment: {}, handleSignals: false } });
}

/** The ms until each plugin of a chain is routed, launched after the one that it needs. By then they have ended again. */
export async function timePlatformChain(platform: Platform, length: number): Promise<number> {
  const links = Array.from({ length }, (_, place) => link(place));
  const beganMs = performance.now();
  const report = await platform.add(links);
  const tookMs = performance.now() - beganMs;
  await removeAll(platform);
  for (const { id, stage, error } of report) assert.equal(error, undefined, `${id}, at ${stage}: ${error?.message}`);
  return tookMs;
}

/** The ms from SIGKILL to a plugin until the host has answered a call to it again. */
export async function timeReturn(platform: Platform): Promise<number> {
  const [{ error } = {}] = await platform.add(link(0));
  const { call, forget } = caller(platform);
  const back = Promise.withResolvers<void>();
  let wasAway = false;
  const stop = platform.onEvent((event) => {
    if (event.type !== "state") return;
    wasAway ||= event.state === "waiting";
    if (wasAway && event.state === "running") back.resolve();
  });
  try {
    assert.equal(error, undefined);
    await call();
    const [{ pid } = {}] = platform.plugins();
    assert.ok(pid);
    const beganMs = performance.now();
    process.kill(pid, "SIGKILL");
    await back.promise; // the step that measures is bounded
    await call();
    return performance.now() - beganMs;
  } finally {
    stop();
    forget();
    await removeAll(platform);
  }
}

async function removeAll(platform: Platform): Promise<void> {
  await Promise.all(platform.plugins().map(({ id }) => platform.remove(id, { force: true, graceMs: 0 })));
}

function link(place: number): PlatformPlugin {
  const { name, provides, requires } = linkDefinition(place);
  return {
    id: name,
    strategy: nodeStrategy({ entry, nodeArgs, env: { CHAIN_PLACE: String(place) } }),
    plugins: { [name]: definePlugin({ name, version: "1.0.0", service: EchoService, provides, requires }) },
    restart: { backoff: { initialMs: 1, maxMs: 1, jitter: "none" } },
    readyTimeoutMs: 30_000,
  };
}

function caller({ host }: Platform) {
  const { identity, token } = host.identities.issue({
    selfId: "caller",
    declares: { provides: [], requires: [{ type: "link-0", minVersion: "" }] },
  });
  const headers = {
    "content-type": "application/json",
    "x-plugin-runtime-id": identity.runtimeId,
    authorization: `Bearer ${token}`,
  };
  return {
    async call() {
      const response = await fetch(`${host.endpoint}/services/link-0/-/Echo`, { method: "POST", headers, body: "{}" });
      assert.equal(response.status, 200, await response.text());
    },
    forget: () => host.identities.revoke(identity.runtimeId),
  };
}
