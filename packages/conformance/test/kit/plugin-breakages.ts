import type { Breakage, Json } from "./broken-server.ts";
import { hostBreakages } from "./host-breakages.ts";

const change = (rpc: string, alter: (body: Json) => void): Breakage => ({
  json(name, _request, { status, body }) {
    if (name === rpc && status === 200) alter(body);
  },
});
/** Does not tell its host from others. */
const believes = (rpc: string): Breakage => ({
  json(name, { controlToken = "" }, answer) {
    if (name === rpc && controlToken === "k".repeat(43))
      Object.assign(answer, { status: 200, body: { acknowledged: true } });
  },
});

const shared = Object.entries(hostBreakages).filter(([id]) =>
  /^(rpc|health|http)\.|^handshake\.(?:versions|anonymous|cookie-|core-|app-|lacking-)/.test(id),
);

/** What breaks each rule of a plugin that a host manages, and no other but those that need it. */
export const pluginBreakages: Readonly<Record<string, Breakage>> = {
  ...Object.fromEntries(shared),
  "info.answer": {
    json(name, _request, answer) {
      if (name === "GetPluginInfo") Object.assign(answer, { status: 500, body: {} });
    },
  },
  "info.self-id": change("GetPluginInfo", (body) => {
    body.selfId = "k..it";
  }),
  "info.self-version": change("GetPluginInfo", (body) => {
    body.selfVersion = "v".repeat(65);
  }),
  "info.provides": change("GetPluginInfo", (body) => {
    body.provides = [{ type: "kit", version: "1.0", path: "/kit/" }];
  }),
  "info.requires": change("GetPluginInfo", (body) => {
    body.requires = [{ type: "kit", minVersion: "^1.0.0" }];
  }),
  "info.metadata": change("GetPluginInfo", (body) => {
    body.metadata = { "a key": "" };
  }),
  "control.health": change("GetHealth", (body) => {
    body.state = "HEALTH_STATE_UNSPECIFIED";
  }),
  "control.guarded-identity": believes("SetRuntimeIdentity"),
  "control.guarded-shutdown": believes("Shutdown"),
  "control.identity": change("SetRuntimeIdentity", (body) => {
    body.acknowledged = false;
  }),
  "control.proof": {
    async json(name, { hostUrl }) {
      // It asks its host something, without saying who it is.
      if (name === "SetRuntimeIdentity" && hostUrl !== undefined) await ask(hostUrl);
    },
  },
  "control.shutdown": change("Shutdown", (body) => {
    body.acknowledged = false;
  }),
};

function ask(hostUrl: string): Promise<unknown> {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
  return fetch(`${hostUrl}/connectplugin.v1.PluginLifecycle/ReportHealth`, init);
}
