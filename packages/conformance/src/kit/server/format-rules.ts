import { expectOk, expectSame, expectThat, shown } from "../rule/expectations.ts";
import { BrokenRule, NotApplicable, NotServed } from "../rule/finding.ts";
import type { Rule } from "../rule/rule.ts";
import { formatName, type RpcFormat } from "../wire/rpc-format.ts";
import { shakeHands } from "./handshake.ts";
import { coreVersion } from "./protocol-facts.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

const formats: readonly RpcFormat[] = (["1.1", "2"] as const).flatMap((http) =>
  (["connect", "grpc", "grpc-web"] as const).flatMap((protocol) =>
    (["proto", "json"] as const).map((codec) => ({ protocol, codec, http })),
  ),
);

/** A server that lacks HTTP/2, or gRPC over HTTP/1.1, is a Go host. */
function mayLackFormat({ protocol, http }: RpcFormat): boolean {
  return http === "2" || protocol === "grpc";
}

/** Every RPC over each protocol, codec and version of HTTP; shown by a handshake that works and one that does not. */
export const formatRules: readonly Rule<ServerUnderTest>[] = formats.map((format) => ({
  id: `rpc.${format.protocol}-${format.codec}-http${format.http.charAt(0)}`,
  section: "Wire protocol",
  expects: `a handshake and its error are answered in ${formatName(format)}`,
  needs: ["handshake.versions"],
  mayLack: mayLackFormat(format),
  async check(server) {
    const good = await attempt(format, () => shakeHands(server, {}, { format }));
    expectSame("core_protocol_version", expectOk("handshake", good).coreProtocolVersion, coreVersion);
    const bad = await shakeHands(server, { magicCookieValue: "another" }, { format });
    if (bad.kind === "malformed" || bad.kind === "absent") throw new BrokenRule(`error: ${bad.seen}`);
    expectThat(bad.kind === "error", "a wrong cookie is no error in this form");
    expectThat(bad.error.code === "invalid_argument", `error: ${shown(bad.error)}`);
    expectSame("HTTP status of invalid_argument", bad.error.httpStatus, format.protocol === "connect" ? 400 : 200);
  },
}));

/** A connection that breaks down under HTTP/2 is one to a server without it. */
export async function attempt<T>({ http }: Pick<RpcFormat, "http">, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (reason) {
    if (http === "1.1" || reason instanceof BrokenRule || reason instanceof NotApplicable) throw reason;
    throw new NotServed(`no HTTP/2: ${reason instanceof Error ? reason.message : "no answer"}`);
  }
}
