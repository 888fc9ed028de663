import { createHash } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { everythingOf } from "./support/everything-of.ts";
import { createSecretScanner } from "./support/secret-scanner.ts";

describe("createSecretScanner", () => {
  const scanner = createSecretScanner();
  const secret = "correct-horse-battery-staple";
  scanner.add(secret);
  const bytes = Buffer.from(secret);

  it.each([
    ["as it is", `no ${secret}.`],
    ["in part", "no rse-batter"],
    ["in base64", bytes.toString("base64")],
    ["in base64, within a text", Buffer.from(`x:${secret}:y`).toString("base64")],
    ["in base64, within another text", Buffer.from(`Basic xy${secret}`).toString("base64url")],
    ["in hexadecimal", bytes.toString("hex")],
    ["in the cause of a cause", everythingOf(new Error("a", { cause: new Error("b", { cause: [secret] }) }))],
    ["in metadata", everythingOf(new ConnectError("a", Code.Unknown, { "x-a": secret }))],
    ["in what is hidden", everythingOf(Object.defineProperty({}, "token", { value: secret }))],
    ["in bytes", everythingOf(Object.assign(new Error("a"), { body: bytes.toString("base64") }))],
  ])("finds a secret %s", (_, text) => {
    expect(scanner.find(text)).toBeDefined();
  });

  it("finds none where there is none", () => {
    expect(scanner.find("the call carries no valid credential: correct horse")).toBeUndefined();
    expect(scanner.find(createHash("sha256").update(secret).digest("hex"))).toBeUndefined();
  });
});
