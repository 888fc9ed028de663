import { expectOk, expectSame } from "../../rule/expectations.ts";
import { NotServed } from "../../rule/finding.ts";
import type { Rule } from "../../rule/rule.ts";
import { shakeHands } from "../../server/handshake.ts";
import { announcesAnyProvider } from "../../server/protocol-facts.ts";
import { randomName } from "../../wire/random-name.ts";
import type { HostUnderTest } from "../host-under-test.ts";
import { callRouted, seenBy } from "../routed-call.ts";
import { provided } from "./route-rules.ts";

/** /services/{type}/-/{rest…}, which hosts of ours announce. */
export const anyProviderRules: readonly Rule<HostUnderTest>[] = [
  {
    id: "any.announced",
    section: "HTTP beside the RPCs",
    expects: `server_metadata["${announcesAnyProvider}"] of the handshake is "1"`,
    mayLack: true,
    needs: ["handshake.versions"],
    async check(host) {
      const { serverMetadata } = expectOk("handshake", await shakeHands(host));
      const value = serverMetadata[announcesAnyProvider];
      if (value === undefined) throw new NotServed("not announced");
      expectSame("value", value, "1");
    },
  },
  {
    id: "any.call",
    section: "HTTP beside the RPCs",
    expects: "/services/{type}/-/{rest} goes to a provider that the host chooses",
    needs: ["any.announced", "route.call"],
    async check(host) {
      const { type } = await provided(host);
      const { path } = seenBy(await callRouted(host, `/services/${type}/-`));
      expectSame("path at the provider", path, "/kit.v1.Echo/Echo");
    },
  },
  {
    id: "any.unknown",
    section: "Errors",
    expects: "/services/{type}/-/{rest} of a type that nobody provides is 404",
    needs: ["any.announced", "route.call"],
    async check(host) {
      expectSame("status", (await callRouted(host, `/services/${randomName("kit.nobody")}/-`)).status, 404);
    },
  },
];
