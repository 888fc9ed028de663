import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { LaunchError, launchFailed } from "./launch-error.ts";

describe("launchFailed", () => {
  it.each([
    { reason: undefined, code: undefined, expected: Code.Unavailable },
    { reason: new Error("x"), code: undefined, expected: Code.Unavailable },
    { reason: new ConnectError("x", Code.FailedPrecondition), code: undefined, expected: Code.FailedPrecondition },
    { reason: new ConnectError("x", Code.Unknown), code: Code.DeadlineExceeded, expected: Code.DeadlineExceeded },
  ])("chooses the code: $reason, $code", ({ reason, code, expected }) => {
    expect(launchFailed({ plugin: "p", stage: "ready", reason, code }).code).toBe(expected);
  });

  it("names plugin, stage, reason, exit and the last lines of stderr", () => {
    const stderrTail = Array.from({ length: 20 }, (_, index) => `line ${index}`);
    const exit = { code: null, signal: "SIGKILL", how: "sigkill" } as const;
    const error = launchFailed({
      plugin: "kv",
      stage: "running",
      exit,
      reason: "the call broke",
      running: { stderrTail: () => stderrTail },
    });
    expect(error.rawMessage).toBe(
      "plugin kv failed (stage: running): the call broke; it was ended by SIGKILL; last lines of its stderr:\n" +
        Array.from({ length: 10 }, (_, index) => `  line ${10 + index}`).join("\n"),
    );
    expect(error.cause).toBeInstanceOf(LaunchError);
    expect(error.cause).toMatchObject({ plugin: "kv", stage: "running", exit, stderrTail });
  });

  it("keeps the error of a lower level as the cause of the cause, and long lines short", () => {
    const reason = new Error("low level");
    const error = launchFailed({ plugin: "kv", stage: "spawn", reason, stderrTail: ["x".repeat(100_000)] });
    expect(error.cause).toMatchObject({ cause: reason });
    expect(error.rawMessage.length).toBeLessThan(1_000);
  });
});
