import { describe, expect, it } from "vitest";
import { formatEndpoint, type ListenAddress, resolveListenAddress } from "./listen-address.ts";

describe("resolveListenAddress", () => {
  it.each<[ListenAddress, string]>([
    [{ port: 80 }, "http://127.0.0.1:80"],
    [{ port: 80, host: "localhost" }, "http://localhost:80"],
    [{ port: 80, host: "0.0.0.0" }, "http://127.0.0.1:80"],
    [{ port: 80, host: "::" }, "http://[::1]:80"],
    [{ port: 80, host: "::1" }, "http://[::1]:80"],
    [{ socketPath: "/run/a.sock" }, "unix:/run/a.sock"],
  ])("%j is reached at %s", (address, endpoint) => {
    expect(formatEndpoint(resolveListenAddress(address, false).address)).toBe(endpoint);
  });

  it("is reached with https when it is secure", () => {
    expect(formatEndpoint(resolveListenAddress({ port: 80 }, true).address)).toBe("https://127.0.0.1:80");
  });

  it("lets only its owner use a socket, unless told otherwise", () => {
    expect(resolveListenAddress({ socketPath: "/a" }, false).mode).toBe(0o600);
    expect(resolveListenAddress({ socketPath: "/a", mode: 0o660 }, false).mode).toBe(0o660);
  });

  it.each<[ListenAddress, boolean, string]>([
    [{ port: -1 }, false, "port must be"],
    [{ port: 65_536 }, false, "port must be"],
    [{ port: 1.5 }, false, "port must be"],
    [{ port: 80, host: "" }, false, "host must not be empty"],
    [{ socketPath: "a.sock" }, false, "socketPath must be absolute"],
    [{ socketPath: "" }, false, "socketPath must be absolute"],
    [{ socketPath: "/a\0" }, false, "socketPath must not contain NUL"],
    [{ socketPath: `/${"é".repeat(52)}` }, false, "socketPath must have at most 103 bytes, has 105"],
    [{ socketPath: "/a", mode: 0o1000 }, false, "mode must be between"],
    [{ socketPath: "/a" }, true, "tls is for a port"],
  ])("refuses %j", (address, secure, message) => {
    expect(() => resolveListenAddress(address, secure)).toThrow(message);
  });
});
