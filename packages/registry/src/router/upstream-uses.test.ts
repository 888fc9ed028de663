import { describe, expect, it } from "vitest";
import type { HttpUpstream, Upstream } from "./upstream.ts";
import { createUpstreamUses } from "./upstream-uses.ts";

const http: HttpUpstream = {
  kind: "http",
  secure: true,
  address: "127.0.0.1",
  port: 1,
  authority: "kv:1",
  servername: "kv",
  basePath: "",
  http: "auto",
};
const unix: Upstream = { kind: "unix", path: "/a", authority: "localhost", basePath: "", http: "2" };
const endpoint = {
  name: "memory:kv",
  open: () => {
    throw new Error("not called");
  },
};

describe("an upstream", () => {
  it.each<{ upstream: Upstream; same: Upstream; what: string }>([
    { what: "over TCP", upstream: http, same: { ...http, basePath: "/elsewhere" } },
    { what: "over a Unix socket", upstream: unix, same: { ...unix } },
    {
      what: "without a socket",
      upstream: { kind: "direct", endpoint, plugins: {} },
      same: { kind: "direct", endpoint, plugins: {} },
    },
  ])("$what is unused when its last user is gone, once", ({ upstream, same }) => {
    const unused: Upstream[] = [];
    const uses = createUpstreamUses((gone) => void unused.push(gone));
    uses.add(upstream);
    uses.add(same);
    uses.remove(upstream);
    expect(unused).toEqual([]);
    uses.remove(same);
    uses.remove(same);
    expect(unused).toEqual([same]);
    uses.add(upstream);
    uses.remove(upstream);
    expect(unused).toHaveLength(2);
  });

  it.each<Partial<HttpUpstream>>([
    { secure: false },
    { address: "127.0.0.2" },
    { port: 2 },
    { authority: "kv:2" },
    { servername: undefined },
    { http: "2" },
  ])("is another with %j", (part) => {
    const unused: Upstream[] = [];
    const uses = createUpstreamUses((gone) => void unused.push(gone));
    uses.add(http);
    uses.add({ ...http, ...part });
    uses.remove(http);
    expect(unused).toEqual([http]);
  });
});
