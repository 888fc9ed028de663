import { describe, expect, it } from "vitest";
import { dnsEndpoints } from "./dns-endpoints.ts";
import type { DnsEndpointsOptions } from "./dns-options.ts";

describe("options of dnsEndpoints", () => {
  it.each<{ rule: string; options: Partial<Record<string, unknown>> }>([
    { rule: "name must be a DNS name", options: { name: "" } },
    { rule: "name must be a DNS name", options: { name: "." } },
    { rule: "name must be a DNS name", options: { name: "a..b" } },
    { rule: "name must be a DNS name", options: { name: "-a.test" } },
    { rule: "name must be a DNS name", options: { name: "a b.test" } },
    { rule: "name must be a DNS name", options: { name: `${"a".repeat(64)}.test` } },
    { rule: "name must be a DNS name", options: { name: "abc.".repeat(64) } },
    { rule: "name must be a DNS name", options: { name: "10.0.0.1" } },
    { rule: "name must be a DNS name", options: { name: "::1" } },
    { rule: "port must be", options: { port: 0 } },
    { rule: "port must be", options: { port: 65_536 } },
    { rule: "port must be", options: { port: 80.5 } },
    { rule: "scheme must be", options: { scheme: "ftp" } },
    { rule: "path must be", options: { path: "base" } },
    { rule: "path must be", options: { path: "/base/" } },
    { rule: "path must be", options: { path: "/a?b" } },
    { rule: "family must be", options: { family: 5 } },
    { rule: "servers must name", options: { servers: [] } },
    { rule: "servers[1] must be", options: { servers: ["10.0.0.1:53", "dns.test"] } },
    { rule: "timeoutMs must be", options: { timeoutMs: 0 } },
    { rule: "timeoutMs must be", options: { timeoutMs: Number.POSITIVE_INFINITY } },
    { rule: "minTtlMs must be", options: { minTtlMs: Number.NaN } },
    { rule: "maxTtlMs must be a finite number of ms from 1000", options: { maxTtlMs: 999 } },
    { rule: "retryMs[0] must be", options: { retryMs: [0, 1] } },
    { rule: "retryMs[1] must be a finite number of ms from 5", options: { retryMs: [5, 4] } },
    { rule: "refreshMs must be", options: { port: undefined, refreshMs: 0 } },
  ])("$rule … ($options)", ({ rule, options }) => {
    const all = { name: "kv.test", port: 80, ...options } as unknown as DnsEndpointsOptions;
    expect(() => dnsEndpoints(all)).toThrow(rule);
  });

  it.each(["kv", "kv.test.", "_kv._tcp.my-host.test", "1.0.0.127.in-addr.arpa", "xn--mnchen-3ya.test"])(
    "takes the name %s",
    (name) => {
      expect(dnsEndpoints({ name, port: 80 })).toHaveProperty("discover");
    },
  );
});
