import { expectError, expectOk, expectSame } from "../rule/expectations.ts";
import type { Rule } from "../rule/rule.ts";
import { randomName } from "../wire/random-name.ts";
import { shakeHands } from "./handshake.ts";
import { appVersion, coreVersion } from "./protocol-facts.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

/** A version that nobody's app protocol has. */
const farVersion = 2_147_483_647;

/** The handshake as every server of ours serves it. */
export const handshakeRules: readonly Rule<ServerUnderTest>[] = [
  {
    id: "handshake.versions",
    section: "Defaults",
    expects: "a handshake with core version 1 and app version 1 is answered with both",
    async check(server) {
      const { coreProtocolVersion, appProtocolVersion } = expectOk("handshake", await shakeHands(server));
      expectSame("core_protocol_version", coreProtocolVersion, coreVersion);
      expectSame("app_protocol_version", appProtocolVersion, appVersion);
    },
  },
  {
    id: "handshake.anonymous",
    section: "Errors",
    expects: "a handshake without self_id is no error and brings no identity",
    needs: ["handshake.versions"],
    async check(server) {
      const { runtimeId, runtimeToken } = expectOk("handshake", await shakeHands(server));
      expectSame("runtime_id", runtimeId, "");
      expectSame("runtime_token", runtimeToken === "" ? "" : "(a token)", "");
    },
  },
  {
    id: "handshake.cookie-key",
    section: "Errors",
    expects: "another magic_cookie_key is invalid_argument",
    needs: ["handshake.versions"],
    async check(server) {
      expectError("another key", await shakeHands(server, { magicCookieKey: "ANOTHER_PLUGIN" }), "invalid_argument");
      expectError("no key", await shakeHands(server, { magicCookieKey: "" }), "invalid_argument");
    },
  },
  {
    id: "handshake.cookie-value",
    section: "Errors",
    expects: "another magic_cookie_value is invalid_argument",
    needs: ["handshake.versions"],
    async check(server) {
      expectError("another value", await shakeHands(server, { magicCookieValue: "another" }), "invalid_argument");
      expectError("no value", await shakeHands(server, { magicCookieValue: "" }), "invalid_argument");
    },
  },
  {
    id: "handshake.core-version",
    section: "Errors",
    expects: "core_protocol_version 2 is invalid_argument",
    needs: ["handshake.versions"],
    async check(server) {
      expectError("version 2", await shakeHands(server, { coreProtocolVersion: 2 }), "invalid_argument");
    },
  },
  {
    id: "handshake.app-version",
    section: "Errors",
    expects: "an app_protocol_version that is not supported is failed_precondition",
    needs: ["handshake.versions"],
    async check(server) {
      const answer = await shakeHands(server, { appProtocolVersion: farVersion });
      expectError(`version ${farVersion}`, answer, "failed_precondition");
    },
  },
  {
    id: "handshake.lacking-plugin",
    section: "Errors",
    expects: "a requested plugin that is lacking is no error but left out",
    needs: ["handshake.versions"],
    async check(server) {
      const name = randomName("lacking");
      const { plugins } = expectOk("handshake", await shakeHands(server, { requestedPlugins: [name] }));
      expectSame("plugins", plugins, []);
    },
  },
];
