import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import { type GetPluginInfoResponse, PluginControl, PluginIdentity } from "@cpg/core/gen/connectplugin/v1/plugin_pb";
import { expectOk, expectSame, expectThat } from "../rule/expectations.ts";
import { BrokenRule, NotApplicable } from "../rule/finding.ts";
import type { Rule } from "../rule/rule.ts";
import { faultOfMetadata, faultOfName, faultOfPath, faultOfVersion, limit } from "../server/protocol-facts.ts";
import { enumName } from "../wire/enum-name.ts";
import type { RpcAnswer } from "../wire/rpc-answer.ts";
import { callUnary } from "../wire/rpc-client.ts";
import type { PluginUnderTest } from "./plugin-under-test.ts";

const info = ["info.answer"];

/** PluginIdentity and PluginControl, which a host that manages a plugin calls. */
export const controlRules: readonly Rule<PluginUnderTest>[] = [
  {
    id: "info.answer",
    section: "The two deployment models",
    expects: "GetPluginInfo is answered",
    mayLack: true,
    async check(plugin) {
      await infoOf(plugin);
    },
  },
  {
    id: "info.self-id",
    section: "Limits",
    expects: "self_id keeps the limits of names",
    needs: info,
    async check(plugin) {
      expectSame("fault of self_id", faultOfName((await infoOf(plugin)).selfId), undefined);
    },
  },
  {
    id: "info.self-version",
    section: "Limits",
    expects: "self_version is free text of up to 64 bytes without NUL",
    needs: info,
    async check(plugin) {
      const { selfVersion } = await infoOf(plugin);
      expectThat(Buffer.byteLength(selfVersion) <= limit.selfVersion, `${Buffer.byteLength(selfVersion)} bytes`);
      expectThat(!selfVersion.includes("\0"), "a NUL");
    },
  },
  {
    id: "info.provides",
    section: "Limits",
    expects: "each service that is provided has a type, a semver version and a path within their limits",
    needs: info,
    async check(plugin) {
      for (const { type, version, path } of (await infoOf(plugin)).provides) {
        expectSame(`fault of type ${type}`, faultOfName(type), undefined);
        expectSame(`fault of version ${version}`, faultOfVersion(version), undefined);
        expectSame(`fault of path ${path}`, faultOfPath(path), undefined);
      }
    },
  },
  {
    id: "info.requires",
    section: "Limits",
    expects: "each service that is required has a type and a min_version: empty, or one version",
    needs: info,
    async check(plugin) {
      for (const { type, minVersion } of (await infoOf(plugin)).requires) {
        expectSame(`fault of type ${type}`, faultOfName(type), undefined);
        const fault = minVersion === "" ? undefined : faultOfVersion(minVersion);
        expectSame(`fault of min_version ${minVersion}`, fault, undefined);
      }
    },
  },
  {
    id: "info.metadata",
    section: "Limits",
    expects: "metadata keeps its limits",
    needs: info,
    async check(plugin) {
      expectSame("fault", faultOfMetadata((await infoOf(plugin)).metadata), undefined);
    },
  },
  {
    id: "control.health",
    section: "Services",
    expects: "GetHealth says HEALTHY, DEGRADED or UNHEALTHY",
    mayLack: true,
    async check(plugin) {
      const answer = await callUnary(plugin, PluginControl.method.getHealth, {});
      const state = enumName(HealthState, expectOk("GetHealth", answer).state);
      expectThat(["HEALTHY", "DEGRADED", "UNHEALTHY"].includes(state), `state ${state}`);
    },
  },
  {
    id: "control.guarded-identity",
    section: "Messages",
    expects: "SetRuntimeIdentity of somebody who proves not to be the host is refused",
    level: "ours",
    mayLack: true,
    async check(plugin) {
      if (plugin.controlToken === undefined) throw new NotApplicable("needs --control-token, to tell hosts apart");
      expectRefused("SetRuntimeIdentity", await giveIdentity(plugin, "k".repeat(43)));
    },
  },
  {
    id: "control.guarded-shutdown",
    section: "Messages",
    expects: "Shutdown of somebody who proves not to be the host is refused, and the plugin goes on",
    level: "ours",
    mayLack: true,
    async check(plugin) {
      if (plugin.controlToken === undefined) throw new NotApplicable("needs --control-token, to tell hosts apart");
      expectRefused("Shutdown", await askToEnd(plugin, "k".repeat(43)));
      await infoOf(plugin);
    },
  },
  {
    id: "control.identity",
    section: "The two deployment models",
    expects: "SetRuntimeIdentity of its host is acknowledged",
    mayLack: true,
    async check(plugin) {
      const answer = await giveIdentity(plugin, plugin.controlToken ?? "");
      if (plugin.controlToken === undefined && isRefusal(answer)) {
        throw new NotApplicable("the plugin asks for proof of its host: needs --control-token");
      }
      expectSame("acknowledged", expectOk("SetRuntimeIdentity", answer).acknowledged, true);
    },
  },
  {
    id: "control.proof",
    section: "HTTP beside the RPCs",
    expects: "what the plugin asks its host from then on, it asks with that identity",
    needs: ["control.identity"],
    async check({ host }) {
      const wrong = host.seen.find((call) => call.rpc !== "Handshake" && call.shown !== "right");
      expectThat(
        wrong === undefined,
        `${wrong?.rpc} with ${wrong !== undefined && "shown" in wrong ? wrong.shown : ""} identity`,
      );
    },
  },
  {
    id: "control.shutdown",
    section: "The two deployment models",
    expects: "Shutdown of its host is acknowledged, and then the plugin ends",
    mayLack: true,
    async check(plugin) {
      if (!plugin.mayEnd) throw new NotApplicable("needs --shutdown, as it ends the plugin");
      const answer = await askToEnd(plugin, plugin.controlToken ?? "");
      if (plugin.controlToken === undefined && isRefusal(answer)) {
        throw new NotApplicable("the plugin asks for proof of its host: needs --control-token");
      }
      expectSame("acknowledged", expectOk("Shutdown", answer).acknowledged, true);
      await untilGone(plugin);
    },
  },
];

async function infoOf(plugin: PluginUnderTest): Promise<GetPluginInfoResponse> {
  return expectOk("GetPluginInfo", await callUnary(plugin, PluginIdentity.method.getPluginInfo, {}));
}

function giveIdentity(plugin: PluginUnderTest, controlToken: string) {
  const { runtimeId, token: runtimeToken } = plugin.host.issue("kit-managed");
  const request = { runtimeId, runtimeToken, hostUrl: plugin.host.url, controlToken };
  return callUnary(plugin, PluginIdentity.method.setRuntimeIdentity, request);
}

function askToEnd(plugin: PluginUnderTest, controlToken: string) {
  const request = { gracePeriodSeconds: 1, reason: "protocol kit", controlToken };
  return callUnary(plugin, PluginControl.method.shutdown, request);
}

function isRefusal(answer: RpcAnswer<unknown>): boolean {
  return answer.kind === "error" && ["permission_denied", "unauthenticated"].includes(answer.error.code);
}

function expectRefused(what: string, answer: RpcAnswer<unknown>): void {
  if (answer.kind === "message" || answer.kind === "absent") expectOk(what, answer);
  expectThat(isRefusal(answer), answer.kind === "error" ? `${what}: ${answer.error.code}` : `${what}: no refusal`);
}

/** A plugin that has ended takes no connections. The time of the rule bounds it. */
async function untilGone(plugin: PluginUnderTest): Promise<void> {
  const { http, signal, clock } = plugin;
  for (;;) {
    try {
      await http.open("1.1", { path: "/healthz", headers: { connection: "close" } }, signal).head;
    } catch {
      if (signal.aborted) throw new BrokenRule("the plugin still takes connections");
      return;
    }
    await clock.sleep(pauseMs, signal);
  }
}

const pauseMs = 20;
