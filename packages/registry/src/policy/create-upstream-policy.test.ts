import { Code, ConnectError } from "@connectrpc/connect";
import type { Peer } from "@cpg/resilience";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { identityOf } from "../../test/support/identity-of.ts";
import type { HttpUpstream, Upstream } from "../router/upstream.ts";
import { createUpstreamPolicy, type UpstreamDecision, type UpstreamPolicyOptions } from "./create-upstream-policy.ts";
import type { UpstreamReason } from "./decide-upstream.ts";
import type { UpstreamRule } from "./upstream-rule.ts";

const names: Readonly<Record<string, readonly string[]>> = {
  localhost: ["::1", "127.0.0.1"],
  this: ["192.168.1.5"],
  "logger.internal": ["10.0.0.7"],
  many: ["10.0.0.8", "10.0.0.7", "fd00::7"],
  metadata: ["169.254.169.254"],
  zero: ["0.0.0.0", "::"],
  mixed: ["0.0.0.0", "169.254.169.254", "127.0.0.1"],
  public: ["203.0.113.9"],
  nowhere: [],
};

const lookUp = async (name: string): Promise<readonly string[]> => {
  const found = names[name];
  if (found === undefined) throw new Error(`ENOTFOUND ${name}`);
  return found;
};

type Options = Partial<UpstreamPolicyOptions> & { readonly port?: number; readonly publicUrl?: string };

function policyOf({ port = 8080, publicUrl = `http://127.0.0.1:${port}`, ...options }: Options = {}) {
  return createUpstreamPolicy({
    host: { publicUrl: () => publicUrl, address: () => ({ kind: "tcp", host: "127.0.0.1", port, secure: false }) },
    interfaces: () => ["192.168.1.5", "fe80::5"],
    lookUp,
    ...options,
  });
}

function peerOf(address: string | undefined, network: Peer["network"] = "tcp"): Peer {
  return { network, address, port: 50_000, tls: undefined };
}

const never = new AbortController().signal;

interface Asked {
  readonly peer?: string | Peer | undefined;
  readonly url: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

async function settle(
  { peer = "127.0.0.1", url, metadata }: Asked,
  options: Options = {},
): Promise<Upstream | undefined> {
  const identity = identityOf("p", { peer: typeof peer === "string" ? peerOf(peer) : peer });
  return await policyOf(options).resolve(identity, { base_url: url, ...metadata }, never);
}

async function outcome(asked: Asked, options: Options = {}): Promise<string> {
  try {
    const upstream = await settle(asked, options);
    return upstream?.kind === "http" ? upstream.address : String(upstream?.kind);
  } catch (error) {
    const { code, cause } = ConnectError.from(error);
    if (code !== Code.PermissionDenied) return Code[code];
    return String((cause as { reason: UpstreamReason }).reason);
  }
}

describe("by default", () => {
  it.each<[peer: string | Peer | undefined, url: string, outcome: string]>([
    // The peer's own address, however it is named.
    ["10.0.0.7", "http://10.0.0.7:1", "10.0.0.7"],
    ["10.0.0.7", "http://[::ffff:10.0.0.7]:1", "10.0.0.7"],
    ["::ffff:10.0.0.7", "http://10.0.0.7:1", "::ffff:10.0.0.7"],
    ["10.0.0.7", "http://logger.internal:8081", "10.0.0.7"],
    ["10.0.0.7", "http://Logger.Internal.:8081", "10.0.0.7"],
    ["10.0.0.7", "http://many:1", "10.0.0.7"],
    ["fd00::7", "http://many:1", "fd00::7"],
    ["fd00::7", "http://[fd00:0:0::7]:1", "fd00::7"],
    ["fe80::9%eth0", "http://[fe80::9]:1", "fe80::9%eth0"],
    ["10.0.0.7", "http://10.0.0.7:8080", "10.0.0.7"],
    // And no other.
    ["10.0.0.7", "http://10.0.0.8:1", "elsewhere"],
    ["10.0.0.7", "http://169.254.169.254", "elsewhere"],
    ["10.0.0.7", "http://metadata", "elsewhere"],
    ["10.0.0.7", "http://localhost:1", "elsewhere"],
    ["10.0.0.7", "http://127.0.0.1:1", "elsewhere"],
    ["10.0.0.7", "http://this:1", "elsewhere"],
    ["10.0.0.7", "http://mixed:1", "elsewhere"],
    ["192.168.1.5", "http://127.0.0.1:1", "elsewhere"],
    ["192.168.1.5", "http://192.168.1.5:1", "192.168.1.5"],
    // A peer on loopback: any port of this machine.
    ["127.0.0.1", "http://127.0.0.1:1", "127.0.0.1"],
    ["127.0.0.1", "http://127.8.9.10:1", "127.8.9.10"],
    ["127.0.0.1", "http://[::1]:65535", "::1"],
    ["127.0.0.1", "http://localhost:1", "127.0.0.1"],
    ["::1", "http://localhost:1", "::1"],
    ["::1", "http://127.0.0.1:1", "127.0.0.1"],
    ["127.0.0.1", "http://192.168.1.5:1", "192.168.1.5"],
    ["127.0.0.1", "http://[::ffff:192.168.1.5]:1", "192.168.1.5"],
    ["127.0.0.1", "http://[fe80::5]:1", "fe80::5"],
    ["127.0.0.1", "http://this:1", "192.168.1.5"],
    ["127.0.0.1", "http://mixed:1", "127.0.0.1"],
    [peerOf(undefined, "unix"), "http://localhost:1", "127.0.0.1"],
    [peerOf(undefined, "memory"), "http://this:1", "192.168.1.5"],
    ["127.0.0.1", "http://10.0.0.7:1", "elsewhere"],
    ["127.0.0.1", "http://metadata:1", "elsewhere"],
    ["127.0.0.1", "http://192.168.1.6:1", "elsewhere"],
    ["127.0.0.1", "http://128.0.0.1:1", "elsewhere"],
    // A peer of which nothing is known.
    [peerOf(undefined), "http://127.0.0.1:1", "elsewhere"],
    [peerOf("not an address"), "http://127.0.0.1:1", "elsewhere"],
    // What is no place at all.
    ["127.0.0.1", "http://zero:1", "Unavailable"],
    ["127.0.0.1", "http://nowhere:1", "Unavailable"],
    ["127.0.0.1", "http://unknown:1", "Unavailable"],
    ["127.0.0.1", "http://0.0.0.0:1", "InvalidArgument"],
    ["127.0.0.1", "unix:/run/p.sock", "InvalidArgument"],
    ["127.0.0.1", "http://127.1:1", "InvalidArgument"],
  ])("a peer at %s, %s -> %s", async (peer, url, expected) => {
    expect(await outcome({ peer, url })).toBe(expected);
  });

  it("nobody is reached of whom the host does not know where he comes from", async () => {
    const identity = identityOf("p");
    const asked = policyOf().resolve(identity, { base_url: "http://127.0.0.1:1" }, never);
    await expect(asked).rejects.toMatchObject({ code: Code.PermissionDenied });
  });

  it("a registration without base_url leads nowhere", async () => {
    const asked = policyOf().resolve(identityOf("p", { peer: peerOf("127.0.0.1") }), {}, never);
    expect(await asked).toBeUndefined();
  });

  it("the upstream is what was named, at the address it meant then", async () => {
    let answer = "10.0.0.7";
    let asked = 0;
    const policy = policyOf({
      async lookUp() {
        asked++;
        return [answer];
      },
    });
    const identity = identityOf("p", { peer: peerOf("10.0.0.7") });
    const upstream = await policy.resolve(
      identity,
      { base_url: "https://Logger.Internal.:8443/a/", http_versions: "1.1,2" },
      never,
    );
    answer = "10.0.0.8";
    expect(upstream).toEqual({
      kind: "http",
      secure: true,
      address: "10.0.0.7",
      port: 8443,
      authority: "logger.internal.:8443",
      servername: "logger.internal",
      basePath: "/a",
      http: "2",
    } satisfies HttpUpstream);
    expect(asked).toBe(1);
    expect(await outcome({ peer: "10.0.0.7", url: "https://10.0.0.7" })).toBe("10.0.0.7");
    expect(await settle({ peer: "10.0.0.7", url: "https://10.0.0.7" })).toMatchObject({ servername: undefined });
  });

  it("a refusal tells neither what a name means nor the URL", async () => {
    const refused = await settle({ url: "http://metadata:1" }).catch((error: unknown) => ConnectError.from(error));
    expect(refused).toMatchObject({
      rawMessage:
        "metadata[base_url] must name the address that the plugin registers from, or one that the policy of this host allows",
    });
  });
});

describe("the host's own listener", () => {
  it.each<[url: string, options?: Options]>([
    ["http://127.0.0.1:8080"],
    ["http://127.0.0.2:8080"],
    ["http://[::1]:8080"],
    ["http://[::ffff:127.0.0.1]:8080"],
    ["http://localhost:8080"],
    ["http://192.168.1.5:8080"],
    ["http://this:8080"],
    ["http://127.0.0.1:80", { port: 80 }],
    ["http://127.0.0.1", { port: 80 }],
    ["https://127.0.0.1", { port: 443 }],
    ["http://this:9000", { publicUrl: "http://this:9000" }],
    ["http://this:9000", { publicUrl: "http://THIS.:9000/prefix" }],
    ["http://192.168.1.5:9000", { publicUrl: "http://this:9000" }],
    ["http://this:9000", { publicUrl: "http://192.168.1.5:9000" }],
    ["https://this", { publicUrl: "https://this" }],
    ["http://this:443", { publicUrl: "https://this" }],
    ["http://unknown:9000", { publicUrl: "http://unknown:9000", lookUp: async () => ["127.0.0.1"] }],
  ])("is never %s (%o)", async (url, options) => {
    for (const rules of [{}, { allow: [{ addresses: ["0.0.0.0/0", "::/0"] }] }, { decide: () => "allow" as const }]) {
      expect(await outcome({ url }, { ...options, ...rules })).toBe("own-listener");
    }
    const attached = policyOf(options).settle(url, never);
    await expect(attached).rejects.toMatchObject({ code: Code.PermissionDenied });
  });

  it("is its public name, wherever that leads the next time", async () => {
    let last = 0;
    const lookUp = async () => [`203.0.113.${++last}`];
    const options = { publicUrl: "https://plugins.test", lookUp, allow: [{ addresses: ["0.0.0.0/0"] }] };
    expect(await outcome({ url: "https://plugins.test" }, options)).toBe("own-listener");
    expect(await outcome({ url: "https://other.test" }, options)).toBe("203.0.113.2");
  });

  it("behind its public URL is no upstream for others either", async () => {
    const options = { publicUrl: "https://public" };
    expect(await outcome({ peer: "203.0.113.9", url: "https://203.0.113.9" }, options)).toBe("own-listener");
    expect(await outcome({ peer: "203.0.113.9", url: "https://203.0.113.9:444" }, options)).toBe("203.0.113.9");
  });

  it.each<[url: string, options: Options]>([
    ["http://127.0.0.1:8081", {}],
    ["http://127.0.0.1:9000", { publicUrl: "http://unknown:9000" }],
    ["http://127.0.0.1:8080", { host: { publicUrl: () => "unix:/h", address: () => ({ kind: "unix", path: "/h" }) } }],
    ["http://127.0.0.1:8080", { host: { publicUrl: () => "", address: () => undefined } }],
  ])("is not %s (%o)", async (url, options) => {
    expect(await outcome({ url }, options)).toBe("127.0.0.1");
  });
});

describe("configured", () => {
  const anywhere: UpstreamRule = { addresses: ["0.0.0.0/0", "::/0"] };
  it.each<{ options: Options; peer?: string; url: string; expected: string }>([
    { options: { allow: [{ addresses: ["10.0.0.0/8"] }] }, url: "http://10.0.0.8:1", expected: "10.0.0.8" },
    { options: { allow: [{ addresses: ["10.0.0.0/8"] }] }, url: "http://many:1", expected: "10.0.0.8" },
    { options: { allow: [{ addresses: ["10.0.0.0/8"] }] }, url: "http://11.0.0.8:1", expected: "elsewhere" },
    { options: { allow: [{ addresses: ["10.0.0.0/8"] }] }, url: "http://[::ffff:10.0.0.8]:1", expected: "10.0.0.8" },
    { options: { allow: [{ hosts: ["Logger.internal"] }] }, url: "http://logger.internal:1", expected: "10.0.0.7" },
    { options: { allow: [{ hosts: ["*.internal"] }] }, url: "http://logger.internal:1", expected: "10.0.0.7" },
    { options: { allow: [{ hosts: ["*.internal"] }] }, url: "http://metadata:1", expected: "elsewhere" },
    { options: { allow: [{ hosts: ["logger.internal"] }] }, url: "http://10.0.0.7:1", expected: "elsewhere" },
    {
      options: { allow: [{ ...anywhere, ports: [9000, "9010-9019"] }] },
      url: "http://many:9000",
      expected: "10.0.0.8",
    },
    {
      options: { allow: [{ ...anywhere, ports: [9000, "9010-9019"] }] },
      url: "http://many:9019",
      expected: "10.0.0.8",
    },
    {
      options: { allow: [{ ...anywhere, ports: [9000, "9010-9019"] }] },
      url: "http://many:9020",
      expected: "elsewhere",
    },
    { options: { allow: [{ ...anywhere, plugins: ["p"] }] }, url: "http://many:1", expected: "10.0.0.8" },
    { options: { allow: [{ ...anywhere, plugins: ["q"] }] }, url: "http://many:1", expected: "elsewhere" },
    { options: { deny: [{ addresses: ["127.0.0.0/8"] }] }, url: "http://127.0.0.1:1", expected: "rule" },
    { options: { deny: [{ ports: ["1-1023"] }] }, url: "http://127.0.0.1:22", expected: "rule" },
    { options: { deny: [{ ports: ["1-1023"] }] }, url: "http://127.0.0.1:1024", expected: "127.0.0.1" },
    { options: { deny: [{ addresses: ["127.0.0.0/8"] }] }, url: "http://localhost:1", expected: "::1" },
    { options: { allow: [anywhere], deny: [{ hosts: ["metadata"] }] }, url: "http://metadata:1", expected: "rule" },
    {
      options: { allow: [anywhere], deny: [{ addresses: ["169.254.0.0/16"] }] },
      url: "http://metadata",
      expected: "rule",
    },
    { options: { decide: () => "allow" }, url: "http://metadata:1", expected: "169.254.169.254" },
    { options: { decide: () => "deny" }, url: "http://127.0.0.1:1", expected: "rule" },
    { options: { decide: () => "deny", allow: [anywhere] }, url: "http://127.0.0.1:1", expected: "rule" },
    { options: { decide: () => "allow", deny: [{ ports: [1] }] }, url: "http://127.0.0.1:1", expected: "rule" },
    { options: { decide: () => undefined }, url: "http://127.0.0.1:1", expected: "127.0.0.1" },
    { options: { https: "required" }, url: "http://127.0.0.1:1", expected: "cleartext" },
    { options: { https: "required" }, url: "https://127.0.0.1:1", expected: "127.0.0.1" },
    { options: { https: "beyond-this-machine" }, url: "http://127.0.0.1:1", expected: "127.0.0.1" },
    { options: { https: "beyond-this-machine" }, peer: "10.0.0.7", url: "http://10.0.0.7:1", expected: "cleartext" },
    { options: { https: "beyond-this-machine" }, peer: "10.0.0.7", url: "https://10.0.0.7:1", expected: "10.0.0.7" },
  ])("$options, $url -> $expected", async ({ options, peer, url, expected }) => {
    expect(await outcome({ peer, url }, options)).toBe(expected);
  });

  it("with a function, nothing but a clear answer counts", async () => {
    const errors: unknown[] = [];
    const onError = (error: unknown) => void errors.push(error);
    const broken = () => {
      throw new Error("broken");
    };
    const late = () => Promise.reject(new Error("late"));
    for (const decide of [broken, late, () => true]) {
      expect(await outcome({ url: "http://127.0.0.1:1" }, { decide: decide as () => never, onError })).toBe("rule");
    }
    expect(errors).toHaveLength(3);
  });

  it("what the host itself names is not asked about, but for its own listener", async () => {
    const policy = policyOf({ deny: [{ addresses: ["0.0.0.0/0"] }] });
    expect(await policy.settle("http://logger.internal:1/a", never)).toMatchObject({
      address: "10.0.0.7",
      basePath: "/a",
    });
    await expect(policy.settle("unix:/p", never)).rejects.toMatchObject({ code: Code.InvalidArgument });
    await expect(policyOf({ https: "required" }).settle("http://many:1", never)).rejects.toMatchObject({
      code: Code.PermissionDenied,
    });
  });

  it("a known endpoint beats base_url, whatever that says", async () => {
    const upstream: Upstream = { kind: "unix", path: "/p", authority: "localhost", basePath: "", http: "auto" };
    const known = (id: string) => (id === "p-1" ? upstream : undefined);
    const policy = policyOf({ known });
    expect(await policy.resolve(identityOf("p"), { base_url: "http://metadata:1" }, never)).toBe(upstream);
    expect(await policy.resolve(identityOf("p"), {}, never)).toBe(upstream);
    expect(await policy.resolve(identityOf("q"), {}, never)).toBeUndefined();
  });

  it("observers hear of each address, and harm nothing", async () => {
    const heard: UpstreamDecision[] = [];
    const errors: unknown[] = [];
    const onDecision = (decision: UpstreamDecision) => {
      heard.push(decision);
      throw new Error("observer");
    };
    expect(await outcome({ url: "http://mixed:1" }, { onDecision, onError: (error) => void errors.push(error) })).toBe(
      "127.0.0.1",
    );
    expect(heard.map(({ candidate, reason }) => `${candidate.address} ${reason}`)).toEqual([
      "127.0.0.1 peers-own",
      "169.254.169.254 elsewhere",
    ]);
    expect(errors).toHaveLength(2);
  });

  it.each<[options: object, message: RegExp]>([
    [{ allow: [{}] }, /allow\[0\] must name hosts or addresses/],
    [{ allow: [{ ports: [1] }] }, /allow\[0\] must name hosts or addresses/],
    [{ deny: [{}] }, /deny\[0\] must have at least one field/],
    [{ deny: [{ port: [1] }] }, /deny\[0\] must not have a field "port"/],
    [{ deny: [{ ports: [] }] }, /deny\[0\]\.ports must not be empty/],
    [{ deny: [{ ports: ["9-1"] }] }, /deny\[0\]\.ports/],
    [{ deny: [{ ports: [0] }] }, /deny\[0\]\.ports/],
    [{ deny: [{ ports: ["1-2-3"] }] }, /deny\[0\]\.ports/],
    [{ allow: [{ addresses: ["10.0.0.0/33"] }] }, /allow\[0\]\.addresses/],
    [{ allow: [{ addresses: ["logger"] }] }, /allow\[0\]\.addresses/],
    [{ allow: [{ hosts: ["*"] }] }, /allow\[0\]\.hosts/],
    [{ allow: [{ hosts: ["a.*"] }] }, /allow\[0\]\.hosts/],
    [{ allow: [{ hosts: ["http://a"] }] }, /allow\[0\]\.hosts/],
    [{ https: "yes" }, /https/],
  ])("%o is refused", (options, message) => {
    expect(() => policyOf(options as Options)).toThrow(message);
  });
});

describe("waiting for a name", () => {
  it("ends with the signal", async () => {
    const gone = new AbortController();
    const policy = policyOf({ lookUp: () => new Promise(() => {}) });
    const identity = identityOf("p", { peer: peerOf("127.0.0.1") });
    const waiting = policy.resolve(identity, { base_url: "http://slow:1" }, gone.signal);
    gone.abort(new Error("gone"));
    await expect(waiting).rejects.toThrow("gone");
    await expect(policy.resolve(identity, { base_url: "http://127.0.0.1:1" }, gone.signal)).rejects.toThrow("gone");
  });
});

describe("whatever is registered", () => {
  const machine = ["127.0.0.1", "::1", "192.168.1.5", "fe80::5"];
  const address = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.constantFrom(
        ...machine,
        "10.0.0.7",
        "::ffff:10.0.0.7",
        "fd00::7",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "::",
      ),
    },
    { weight: 1, arbitrary: fc.oneof(fc.ipV4(), fc.ipV6()) },
  );
  const host = fc.oneof(
    { weight: 4, arbitrary: address.map((text) => (text.includes(":") ? `[${text}]` : text)) },
    { weight: 4, arbitrary: fc.constantFrom("localhost", "a", "A.") },
    { weight: 1, arbitrary: fc.domain() },
    { weight: 1, arbitrary: fc.constantFrom("127.1", "0x7f.1", "a@127.0.0.1", "127.0.0.1#", "[::1") },
  );
  const mostly = (usual: readonly string[], ...odd: string[]) =>
    fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });
  const url = fc
    .tuple(
      mostly(["http://", "https://"], "HTTP://", "//", "unix:", "http:/"),
      host,
      mostly(["", ":8080", ":1"], ":0", ":99999"),
      mostly(["", "/", "/a"], "/../", "/connectplugin.v1.X/", "?x", "#"),
    )
    .map((parts) => parts.join(""));
  const peer = fc.oneof(
    address.map((text) => peerOf(text.replace(/^::ffff:(?=\d+\.)/, ""))),
    fc.constantFrom(peerOf(undefined), peerOf(undefined, "unix"), undefined),
  );

  it("the host connects to the peer's own address, or from this machine to this machine, and never to itself", async () => {
    let settled = 0;
    await fc.assert(
      fc.asyncProperty(url, peer, fc.array(address, { maxLength: 3 }), async (text, from, answers) => {
        const policy = policyOf({ lookUp: async () => answers });
        const identity = identityOf("p", { peer: from });
        const upstream = await policy.resolve(identity, { base_url: text }, never).catch((error: unknown) => {
          if (error instanceof ConnectError) return undefined;
          throw error;
        });
        if (upstream === undefined) return;
        settled++;
        if (upstream.kind !== "http") throw new Error("only launched plugins have no address");
        const here = machine.includes(upstream.address) || upstream.address.startsWith("127.");
        const local = from?.network === "unix" || from?.address === "::1" || from?.address?.startsWith("127.") === true;
        const peersOwn = from?.address === upstream.address;
        expect(peersOwn || (local && here)).toBe(true);
        expect(here && upstream.port === 8080).toBe(false);
        expect(upstream.basePath).toMatch(/^(\/a)?$/);
      }),
      { numRuns: 3_000 },
    );
    expect(settled).toBeGreaterThan(100);
  });
});
