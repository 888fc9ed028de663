import { X509Certificate } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Peer } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import { createCertificates } from "../../test/support/certificates.ts";
import { createControlGuard } from "./control-guard.ts";

const token = "t".repeat(32);
const tcp: Peer = { network: "tcp", address: "127.0.0.1", port: 1, tls: undefined };
const unix: Peer = { network: "unix", address: undefined, port: undefined, tls: undefined };
const { client } = await createCertificates();
const certificate = new X509Certificate(client.cert);
const mtls = (authorized: boolean, presented: X509Certificate | undefined = certificate): Peer => ({
  ...tcp,
  tls: { protocol: "TLSv1.3", authorized, authorizationError: undefined, certificate: () => presented },
});
const testClient = (presented: X509Certificate) => presented.subject === "CN=test-client";

function refusal(act: () => void): Code | undefined {
  try {
    act();
    return undefined;
  } catch (reason) {
    return ConnectError.from(reason).code;
  }
}

describe("the guard takes for the host", () => {
  it.each([
    { who: "nobody, when nothing is configured", options: {}, caller: { token, peer: unix }, host: false },
    { who: "who knows the token", options: { token }, caller: { token, peer: tcp }, host: true },
    { who: "not who knows another", options: { token }, caller: { token: "u".repeat(32), peer: tcp }, host: false },
    {
      who: "not who knows a part of it",
      options: { token },
      caller: { token: token.slice(1), peer: tcp },
      host: false,
    },
    { who: "not who knows none", options: { token }, caller: { token: "", peer: tcp }, host: false },
    { who: "not a huge token", options: { token }, caller: { token: "t".repeat(4097), peer: tcp }, host: false },
    {
      who: "a Unix peer of the private socket",
      options: { privateSocket: true },
      caller: { token: "", peer: unix },
      host: true,
    },
    { who: "no TCP peer for that", options: { privateSocket: true }, caller: { token: "", peer: tcp }, host: false },
    { who: "no Unix peer of another socket", options: { token }, caller: { token: "", peer: unix }, host: false },
    {
      who: "nobody without a connection",
      options: { privateSocket: true },
      caller: { token: "", peer: undefined },
      host: false,
    },
    {
      who: "the certificate",
      options: { hostCertificate: testClient },
      caller: { token: "", peer: mtls(true) },
      host: true,
    },
    {
      who: "not one that is not verified",
      options: { hostCertificate: testClient },
      caller: { token: "", peer: mtls(false) },
      host: false,
    },
    {
      who: "not one that the predicate refuses",
      options: { hostCertificate: () => false },
      caller: { token: "", peer: mtls(true) },
      host: false,
    },
    { who: "anybody, if told to", options: { allowAnyHost: true }, caller: { token: "", peer: undefined }, host: true },
  ])("$who", ({ options, caller, host }) => {
    const guard = createControlGuard(options);
    expect(guard.isHost(caller)).toBe(host);
    expect(refusal(() => guard.requireHost(caller))).toBe(host ? undefined : Code.PermissionDenied);
  });

  it("nobody when the predicate throws; the error is the cause of the refusal", () => {
    const broken = new Error("broken");
    const guard = createControlGuard({
      hostCertificate: () => {
        throw broken;
      },
    });
    const caller = { token: "", peer: mtls(true) };
    expect(guard.isHost(caller)).toBe(false);
    expect(() => guard.requireHost(caller)).toThrow(
      expect.objectContaining({ code: Code.PermissionDenied, cause: broken }),
    );
  });

  it("says what would help, and never the token", () => {
    const guard = createControlGuard({ token });
    const refuse = () => guard.requireHost({ token: "wrong-secret-wrong-secret-wrong-secret", peer: tcp });
    expect(refuse).toThrow(/control_token.*hostCertificate.*allowAnyHost/);
    expect(refuse).not.toThrow(/wrong-secret|ttttt/);
  });

  it.each([0, 31, 4097])("refuses a token of %d characters", (length) => {
    expect(() => createControlGuard({ token: "x".repeat(length) })).toThrow(RangeError);
  });
});
