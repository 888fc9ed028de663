import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { acceptsEndpoint, formatReadyLine, parseReadyLine } from "./ready-line.ts";

describe("parseReadyLine", () => {
  it("reads what formatReadyLine wrote", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (endpoint) => {
        expect(parseReadyLine(formatReadyLine(endpoint))).toBe(endpoint);
      }),
    );
  });

  it("is one line with these three fields, for plugins in other languages", () => {
    expect(formatReadyLine("unix:/run/p.sock")).toBe('{"cpg":"ready","version":1,"endpoint":"unix:/run/p.sock"}');
  });

  it.each([
    ["", undefined],
    ["{", undefined],
    ["null", undefined],
    ['{"cpg":"ready","version":1}', undefined],
    ['{"cpg":"ready","version":2,"endpoint":"e"}', undefined],
    ['{"cpg":"ready","version":"1","endpoint":"e"}', undefined],
    ['{"cpg":"steady","version":1,"endpoint":"e"}', undefined],
    ['{"cpg":"ready","version":1,"endpoint":1}', undefined],
    [' {"cpg":"ready","version":1,"endpoint":"e"}', undefined],
    ['{"cpg":"ready","version":1,"endpoint":"e"} x', undefined],
    [`{"cpg":"ready","version":1,"endpoint":"${"e".repeat(1025)}"}`, undefined],
    [`{"cpg":"ready","version":1,"endpoint":"e","more":"${"x".repeat(2048)}"}`, undefined],
    ['{"cpg":"ready","version":1,"endpoint":"e"} ', "e"],
    ['{"endpoint":"e","more":true,"version":1,"cpg":"ready"}', "e"],
  ])("%s -> %s", (line, endpoint) => {
    expect(parseReadyLine(line)).toBe(endpoint);
  });
});

describe("acceptsEndpoint", () => {
  const socketPath = "/tmp/cpg-1/p.sock";
  it.each([
    { endpoint: "unix:/tmp/cpg-1/p.sock", ok: true },
    { endpoint: "unix:/tmp/cpg-1/../cpg-1/p.sock", ok: false },
    { endpoint: "unix:/tmp/cpg-2/p.sock", ok: false },
    { endpoint: "unix:", ok: false },
    { endpoint: "http://127.0.0.1:8080", ok: true },
    { endpoint: "https://localhost:8443", ok: true },
    { endpoint: "http://[::1]:8080", ok: true },
    { endpoint: "http://127.0.0.1", ok: false },
    { endpoint: "http://127.0.0.1:0", ok: false },
    { endpoint: "http://127.0.0.1:65536", ok: false },
    { endpoint: "http://127.0.0.1:80/path", ok: false },
    { endpoint: "http://127.0.0.1:80?x", ok: false },
    { endpoint: "http://127.0.0.1:80@example.com", ok: false },
    { endpoint: "http://127.0.0.1.example.com:80", ok: false },
    { endpoint: "http://example.com:80", ok: false },
    { endpoint: "http://0.0.0.0:80", ok: false },
    { endpoint: "ftp://127.0.0.1:80", ok: false },
    { endpoint: "http://127.0.0.1:80\n", ok: false },
  ])("$endpoint: $ok", ({ endpoint, ok }) => {
    expect(acceptsEndpoint(endpoint, socketPath)).toBe(ok);
  });

  it("takes no socket when none was given", () => {
    expect(acceptsEndpoint("unix:/tmp/cpg-1/p.sock", undefined)).toBe(false);
  });
});
