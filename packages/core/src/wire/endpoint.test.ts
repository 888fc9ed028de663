import { describe, expect, it } from "vitest";
import { formatEndpoint, parseEndpoint } from "./endpoint.ts";

const http = { kind: "tcp", secure: false, loopback: true } as const;

describe("parseEndpoint", () => {
  it.each([
    ["http://127.0.0.1:4242", { ...http, url: "http://127.0.0.1:4242", host: "127.0.0.1", port: 4242 }],
    ["http://127.1.2.3", { ...http, url: "http://127.1.2.3", host: "127.1.2.3", port: 80 }],
    ["http://localhost:1/", { ...http, url: "http://localhost:1", host: "localhost", port: 1 }],
    ["http://[::1]:5", { ...http, url: "http://[::1]:5", host: "::1", port: 5 }],
    [
      "https://x.Example/a/b/",
      {
        kind: "tcp",
        secure: true,
        loopback: false,
        url: "https://x.example/a/b",
        host: "x.example",
        port: 443,
      },
    ],
    ["http://10.0.0.1:81/p//", { ...http, loopback: false, url: "http://10.0.0.1:81/p", host: "10.0.0.1", port: 81 }],
    [
      "http://localhost.evil.example",
      {
        ...http,
        loopback: false,
        url: "http://localhost.evil.example",
        host: "localhost.evil.example",
        port: 80,
      },
    ],
    [
      "http://127.0.0.1.evil.example",
      {
        ...http,
        loopback: false,
        url: "http://127.0.0.1.evil.example",
        host: "127.0.0.1.evil.example",
        port: 80,
      },
    ],
    ["unix:/run/plugin.sock", { kind: "unix", path: "/run/plugin.sock" }],
  ])("reads %s", (text, endpoint) => {
    expect(parseEndpoint(text)).toEqual(endpoint);
    expect(parseEndpoint(formatEndpoint(parseEndpoint(text)))).toEqual(endpoint);
  });

  it.each([
    ["", "must be http://host:port"],
    ["localhost:80", "must be http://host:port"],
    ["ftp://h", "must be http://host:port"],
    ["http://", "must be http://host:port"],
    ["http://h:99999", "must be http://host:port"],
    ["http://h:0", "must name a port from 1"],
    ["http://user@h", "must not contain user or password"],
    ["http://user:secret@h", "must not contain user or password"],
    ["http://h/?a=secret", "must not contain a query"],
    ["http://h?", "must not contain a query"],
    ["http://h/#x", "must not contain a fragment"],
    ["unix:relative", "must name an absolute path"],
    ["unix:", "must name an absolute path"],
    ["unix:/a\0b", "must not contain NUL"],
    [`unix:/${"a".repeat(103)}`, "at most 103 bytes"],
  ])("refuses %j: %s, and does not repeat it", (text, rule) => {
    expect(() => parseEndpoint(text)).toThrow(TypeError);
    expect(() => parseEndpoint(text)).toThrow(rule);
    expect(() => parseEndpoint(text)).not.toThrow("secret");
  });
});
