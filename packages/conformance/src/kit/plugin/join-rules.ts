import { expectSame, expectThat } from "../rule/expectations.ts";
import { BrokenRule, NotServed } from "../rule/finding.ts";
import type { Rule } from "../rule/rule.ts";
import {
  appVersion,
  cookie,
  coreVersion,
  faultOfMetadata,
  faultOfName,
  faultOfPath,
  faultOfVersion,
  limit,
} from "../server/protocol-facts.ts";
import { createHttpClient } from "../wire/http-client.ts";
import type { KitHost, SeenCall } from "./kit-host.ts";
import type { JoiningPlugin } from "./plugin-under-test.ts";

type Handshake = Extract<SeenCall, { rpc: "Handshake" }>;
type Registration = Extract<SeenCall, { rpc: "RegisterService" }>;

const isHandshake = (call: SeenCall): call is Handshake => call.rpc === "Handshake";
const isRegistration = (call: SeenCall): call is Registration => call.rpc === "RegisterService";

const joined = ["join.handshake"];
const registered = ["join.register"];

/** What a plugin does that was started with HOST_URL: it shakes hands and registers what it provides. */
export const joinRules: readonly Rule<JoiningPlugin>[] = [
  {
    id: "join.handshake",
    section: "The two deployment models",
    expects: "the plugin shakes hands with the host of HOST_URL",
    async check({ host, signal }) {
      await host.first(isHandshake, signal);
    },
  },
  {
    id: "join.cookie",
    section: "Defaults",
    expects: "its handshake has the magic cookie of the protocol",
    needs: joined,
    async check(plugin) {
      const { magicCookieKey, magicCookieValue } = handshakeOf(plugin);
      expectSame("magic_cookie_key", magicCookieKey, cookie.key);
      expectSame("magic_cookie_value", magicCookieValue, cookie.value);
    },
  },
  {
    id: "join.versions",
    section: "Defaults",
    expects: "its handshake has core_protocol_version 1 and an app_protocol_version",
    needs: joined,
    async check(plugin) {
      const { coreProtocolVersion, appProtocolVersion } = handshakeOf(plugin);
      expectSame("core_protocol_version", coreProtocolVersion, coreVersion);
      expectThat(appProtocolVersion >= appVersion, `app_protocol_version ${appProtocolVersion}`);
    },
  },
  {
    id: "join.self-id",
    section: "Limits",
    expects: "its handshake has a self_id that keeps the limits of names",
    needs: joined,
    async check(plugin) {
      expectSame("fault of self_id", faultOfName(handshakeOf(plugin).selfId), undefined);
    },
  },
  {
    id: "join.self-version",
    section: "Limits",
    expects: "its self_version is free text of up to 64 bytes without NUL",
    needs: joined,
    async check(plugin) {
      const { selfVersion } = handshakeOf(plugin);
      expectThat(Buffer.byteLength(selfVersion) <= limit.selfVersion, `${Buffer.byteLength(selfVersion)} bytes`);
      expectThat(!selfVersion.includes("\0"), "a NUL");
    },
  },
  {
    id: "join.client-metadata",
    section: "Limits",
    expects: "its client_metadata keeps the limits of metadata",
    needs: joined,
    async check(plugin) {
      expectSame("fault", faultOfMetadata(handshakeOf(plugin).clientMetadata), undefined);
    },
  },
  {
    id: "join.register",
    section: "The two deployment models",
    expects: "the plugin registers a service",
    needs: joined,
    async check({ host, signal }) {
      await host.first(isRegistration, signal);
    },
  },
  {
    id: "join.identity",
    section: "HTTP beside the RPCs",
    expects: "each of its calls shows the identity of its handshake: X-Plugin-Runtime-ID and Authorization: Bearer",
    needs: registered,
    async check({ host }) {
      for (const call of host.seen) {
        if (call.rpc === "Handshake") continue;
        expectSame(`identity of ${call.rpc === "another" ? call.name : call.rpc}`, call.shown, "right");
      }
    },
  },
  {
    id: "join.service-type",
    section: "Limits",
    expects: "service_type keeps the limits of names",
    needs: registered,
    async check({ host }) {
      for (const { serviceType } of registrationsAt(host)) {
        expectSame(`fault of ${serviceType}`, faultOfName(serviceType), undefined);
      }
    },
  },
  {
    id: "join.version",
    section: "Limits",
    expects: "the version of each registration is semver without build metadata",
    needs: registered,
    async check({ host }) {
      for (const { version } of registrationsAt(host)) {
        expectSame(`fault of ${version}`, faultOfVersion(version), undefined);
      }
    },
  },
  {
    id: "join.endpoint-path",
    section: "Limits",
    expects: "endpoint_path begins and ends with / and keeps its limits",
    needs: registered,
    async check({ host }) {
      for (const { endpointPath } of registrationsAt(host)) {
        expectSame(`fault of ${endpointPath}`, faultOfPath(endpointPath), undefined);
      }
    },
  },
  {
    id: "join.metadata",
    section: "Limits",
    expects: "the metadata of each registration keeps its limits",
    needs: registered,
    async check({ host }) {
      for (const { metadata } of registrationsAt(host)) expectSame("fault", faultOfMetadata(metadata), undefined);
    },
  },
  {
    id: "join.base-url",
    section: "HTTP beside the RPCs",
    expects: "metadata has a base_url: http or https, without user, query and fragment",
    needs: registered,
    mayLack: true,
    async check({ host }) {
      for (const url of baseUrlsAt(host)) {
        expectThat(/^https?:$/.test(url.protocol), `base_url ${url.href}`);
        expectThat(url.username === "" && url.password === "", "base_url with a user");
        expectThat(url.search === "" && url.hash === "", `base_url ${url.href}`);
      }
    },
  },
  {
    id: "join.reachable",
    section: "HTTP beside the RPCs",
    expects: "the plugin can be reached at its base_url, soon after it registered",
    needs: ["join.base-url"],
    async check(plugin) {
      for (const { href } of baseUrlsAt(plugin.host)) await untilReached(plugin, href);
    },
  },
];

/** A Go plugin registers before it listens. */
async function untilReached({ clock, signal }: JoiningPlugin, endpoint: string): Promise<void> {
  const http = createHttpClient({ endpoint });
  const startedMs = clock.monotonic();
  try {
    for (;;) {
      try {
        await http.open("1.1", { path: "/healthz" }, signal).head;
        return;
      } catch (reason) {
        if (clock.monotonic() - startedMs > reachMs) throw new BrokenRule(`${endpoint}: ${messageOf(reason)}`);
      }
      await clock.sleep(pauseMs, signal);
    }
  } finally {
    http.close();
  }
}

const reachMs = 3_000;
const pauseMs = 50;

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

function handshakeOf({ host }: JoiningPlugin): Handshake["request"] {
  const call = host.seen.find(isHandshake);
  expectThat(call !== undefined, "no handshake");
  return call.request;
}

function registrationsAt({ seen }: KitHost): Registration["request"][] {
  return seen.filter(isRegistration).map(({ request }) => request);
}

/** @throws {NotServed} when one has none. */
function baseUrlsAt(host: KitHost): URL[] {
  return registrationsAt(host).map(({ serviceType, metadata: { base_url: baseUrl } }) => {
    if (baseUrl === undefined) throw new NotServed(`${serviceType} was registered without base_url`);
    expectThat(URL.canParse(baseUrl), `base_url ${baseUrl}`);
    return new URL(baseUrl);
  });
}
