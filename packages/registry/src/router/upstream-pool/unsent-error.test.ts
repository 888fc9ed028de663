import { expect, it } from "vitest";
import { connectionLoss, UnsentError, unsentError } from "./unsent-error.ts";

const failed = (code?: string): Error => Object.assign(new Error("failed"), code === undefined ? {} : { code });

it.each([
  { stage: "connect", code: "ECONNREFUSED", unsent: "refused" },
  { stage: "connect", code: "ENOENT", unsent: "refused" },
  { stage: "connect", code: "ECONNRESET", unsent: "refused" },
  { stage: "connect", code: undefined, unsent: "refused" },
  { stage: "connect", code: "ETIMEDOUT", unsent: "timeout" },
  { stage: "connect", code: "EHOSTUNREACH", unsent: "unreachable" },
  { stage: "connect", code: "ENETUNREACH", unsent: "unreachable" },
  { stage: "connect", code: "EACCES", unsent: "unreachable" },
  { stage: "connect", code: "EMFILE", unsent: "busy" },
  { stage: "tls", code: "ECONNRESET", unsent: "tls" },
  { stage: "tls", code: "DEPTH_ZERO_SELF_SIGNED_CERT", unsent: "tls" },
  { stage: "http", code: "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", unsent: "tls" },
  { stage: "http", code: "ERR_HTTP2_ERROR", unsent: "protocol" },
  { stage: "http", code: undefined, unsent: "protocol" },
] as const)("$code while in $stage means $unsent", ({ stage, code, unsent }) => {
  const reason = failed(code);
  expect(unsentError(stage, "127.0.0.1:1", reason)).toMatchObject({ unsent, cause: reason });
});

it("what is told already stays so", () => {
  const error = new UnsentError("timeout", "late");
  expect(unsentError("http", "127.0.0.1:1", error)).toBe(error);
});

it.each([
  { code: "ECONNRESET", loss: "connection" },
  { code: "EPIPE", loss: "connection" },
  { code: undefined, loss: "connection" },
  { code: "ETIMEDOUT", loss: "silence" },
  { code: "EHOSTUNREACH", loss: "silence" },
  { code: "ENETUNREACH", loss: "silence" },
] as const)("a connection that was there and ends with $code is lost by $loss", ({ code, loss }) => {
  expect(connectionLoss(failed(code))).toBe(loss);
});
