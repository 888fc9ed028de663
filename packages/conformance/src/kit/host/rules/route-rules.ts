import { expectSame, expectThat } from "../../rule/expectations.ts";
import type { Rule } from "../../rule/rule.ts";
import { header } from "../../server/protocol-facts.ts";
import { randomName } from "../../wire/random-name.ts";
import { freePort } from "../echo-provider.ts";
import { credentialHeaders, pluginOf, type Registered, register } from "../host-calls.ts";
import type { HostUnderTest } from "../host-under-test.ts";
import { callRouted, routedPath, seenBy } from "../routed-call.ts";

const needs = ["route.call"];
const forged = "kit-forged-0123456789abcdef";

/** /services/{type}/{provider-id}/{rest…}, as far as every host carries it. */
export const routeRules: readonly Rule<HostUnderTest>[] = [
  {
    id: "route.call",
    section: "HTTP beside the RPCs",
    expects: "/services/{type}/{provider-id}/{rest} goes to {base_url}{endpoint_path}{rest}",
    needs: ["register.accepted"],
    async check(host) {
      const { path } = seenBy(await callRouted(host, routedPath(await provided(host)), { rest: "/a/b-c/Echo" }));
      expectSame("path at the provider", path, "/kit.v1.Echo/a/b-c/Echo");
    },
  },
  {
    id: "route.methods",
    section: "HTTP beside the RPCs",
    expects: "every HTTP method is passed on",
    needs,
    async check(host) {
      const path = routedPath(await provided(host));
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
        expectSame(`method of ${method}`, seenBy(await callRouted(host, path, { method })).method, method);
      }
    },
  },
  {
    id: "route.query",
    section: "HTTP beside the RPCs",
    expects: "the query string is kept as it is",
    needs,
    async check(host) {
      const rest = "/Echo?a=1&b=%20x&a=2&c";
      const seen = seenBy(await callRouted(host, routedPath(await provided(host)), { rest }));
      expectSame("path at the provider", seen.path, `/kit.v1.Echo${rest}`);
    },
  },
  {
    id: "route.body",
    section: "HTTP beside the RPCs",
    expects: "the bytes of a request are passed on as they are",
    needs,
    async check(host) {
      const body = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index % 256));
      const headers = { "content-type": "application/octet-stream", "x-kit-asks": "yes" };
      const seen = seenBy(await callRouted(host, routedPath(await provided(host)), { body, headers }));
      expectThat(seen.body === body.toString("base64"), `${Buffer.from(seen.body, "base64").length} other bytes`);
      expectSame("content-type at the provider", seen.headers["content-type"], headers["content-type"]);
      expectSame("x-kit-asks at the provider", seen.headers["x-kit-asks"], "yes");
    },
  },
  {
    id: "route.answer",
    section: "HTTP beside the RPCs",
    expects: "status, headers and bytes of the answer are passed back as they are",
    needs,
    async check(host) {
      const answer = await callRouted(host, routedPath(await provided(host)), { rest: "/Teapot" });
      expectSame("status", answer.status, 418);
      expectSame("x-kit-answer", answer.headers["x-kit-answer"], "teapot");
      expectSame("body", answer.body.toString(), "short and stout");
    },
  },
  {
    id: "route.credentials",
    section: "HTTP beside the RPCs",
    expects: "X-Plugin-Runtime-ID and Authorization are removed before a call is passed on",
    needs,
    async check(host) {
      const { headers } = seenBy(await callRouted(host, routedPath(await provided(host))));
      expectThat(headers[header.runtimeId] === undefined, `the provider got ${header.runtimeId}`);
      expectThat(headers[header.authorization] === undefined, `the provider got ${header.authorization}`);
    },
  },
  {
    id: "route.caller-id",
    section: "HTTP beside the RPCs",
    expects: "the provider gets the verified caller in X-Plugin-Caller-ID",
    level: "ours",
    needs,
    async check(host) {
      const { headers } = seenBy(await callRouted(host, routedPath(await provided(host))));
      expectSame("X-Plugin-Caller-ID", headers[header.callerId], (await pluginOf(host, "caller")).runtimeId);
    },
  },
  {
    id: "route.caller-id-forged",
    section: "HTTP beside the RPCs",
    expects: "an X-Plugin-Caller-ID that a caller sends does not reach the provider",
    level: "ours",
    needs,
    async check(host) {
      const call = { headers: { [header.callerId]: forged } };
      const { headers } = seenBy(await callRouted(host, routedPath(await provided(host)), call));
      expectThat(!(headers[header.callerId] ?? "").includes(forged), `the provider got ${headers[header.callerId]}`);
    },
  },
  {
    id: "route.unauthenticated",
    section: "Errors",
    expects: "a routed call without credentials, or with an unknown runtime id, is 401",
    needs,
    async check(host) {
      const path = routedPath(await provided(host));
      const nobody = { [header.runtimeId]: "", [header.authorization]: "" };
      expectSame("status without credentials", (await callRouted(host, path, { headers: nobody })).status, 401);
      const stranger = credentialHeaders({ runtimeId: randomName("kit"), token: "k".repeat(43) });
      expectSame("status of a stranger", (await callRouted(host, path, { headers: stranger })).status, 401);
    },
  },
  {
    id: "route.wrong-token",
    section: "Where we are stricter than the Go implementation",
    expects: "a routed call with a wrong token is 401",
    level: "ours",
    needs,
    async check(host) {
      const headers = { [header.authorization]: `Bearer ${"k".repeat(43)}` };
      const answer = await callRouted(host, routedPath(await provided(host)), { headers });
      expectSame("status", answer.status, 401);
    },
  },
  {
    id: "route.unknown",
    section: "Errors",
    expects: "a routed call to an unknown type or provider is 404",
    needs,
    async check(host) {
      const registered = await provided(host);
      const plugin = { ...registered.plugin, runtimeId: randomName("kit-nobody") };
      expectSame(
        "status, no such provider",
        (await callRouted(host, routedPath({ ...registered, plugin }))).status,
        404,
      );
      const type = randomName("kit.nobody");
      expectSame("status, no such type", (await callRouted(host, routedPath({ ...registered, type }))).status, 404);
    },
  },
  {
    id: "route.malformed",
    section: "Errors",
    expects: "a path below /services without a type and a provider is 400",
    needs,
    async check(host) {
      const { plugin } = await provided(host);
      for (const path of ["/services/", "/services/kit", `/services//${plugin.runtimeId}/x`]) {
        expectSame(`status of ${path}`, (await callRouted(host, path, { rest: "" })).status, 400);
      }
    },
  },
  {
    id: "route.unreachable",
    section: "Errors",
    expects: "a routed call to a provider that cannot be reached is 502, or 503 once the host has found it dead",
    needs,
    async check(host) {
      const baseUrl = `http://${host.providerPlace.publicHost ?? "127.0.0.1"}:${await freePort()}`;
      const plugin = await pluginOf(host, "lost");
      const fields = { serviceType: randomName("kit.lost"), metadata: { base_url: baseUrl } };
      const { status } = await callRouted(host, routedPath(await register(host, plugin, fields)));
      expectThat(status === 502 || status === 503, `status ${status}`);
    },
  },
];

/** A service of the kit's own provider. */
export async function provided(host: HostUnderTest): Promise<Registered> {
  return await register(host, await pluginOf(host, "provider"), { serviceType: randomName("kit.routed") });
}
