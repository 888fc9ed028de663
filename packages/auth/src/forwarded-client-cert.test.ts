import { expect, it } from "vitest";
import { parseForwardedClientCert } from "./forwarded-client-cert.ts";

it("a header of spaces is refused in a time that grows with its length only", () => {
  // With a step back for each space this takes longer than a test may.
  expect(parseForwardedClientCert(`Hash=${" ".repeat(65_000)}"`)).toBeUndefined();
});

it("spaces around values and separators do not count", () => {
  expect(parseForwardedClientCert("By = x")).toBeUndefined();
  expect(
    parseForwardedClientCert(' URI=spiffe://a.test/b ; Subject="CN=x" , URI=spiffe://a.test/c ;Subject="CN=y"  '),
  ).toMatchObject({
    uri: ["spiffe://a.test/c"],
    subject: "CN=y",
  });
});
