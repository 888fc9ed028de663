import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "@cpg/resilience";
import { exportJWK, generateKeyPair, type JSONWebKeySet, type JWTPayload, SignJWT } from "jose";

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JSONWebKeySet["keys"][number];
}
type CryptoKey = Awaited<ReturnType<typeof generateKeyPair>>["privateKey"];

export async function createSigningKey(kid: string, alg = "ES256"): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" } };
}

/** A token of ann's for "kv" that is valid for an hour, unless `claims` says otherwise; undefined takes a claim out. */
export async function sign(
  key: SigningKey,
  clock: Clock,
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const nowS = Math.floor(clock.now() / 1000);
  const all = { iss: "https://issuer.test", aud: "kv", sub: "ann", iat: nowS, exp: nowS + 3_600, ...claims };
  const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return await new SignJWT(payload as JWTPayload)
    .setProtectedHeader({ alg: "ES256", kid: key.kid, ...header })
    .sign(key.privateKey);
}

export interface KeyServer extends AsyncDisposable {
  readonly url: string;
  /** Fetches so far. */
  readonly fetches: number;
  /** Answers with these keys from now on, or as the function does. */
  serve(answer: readonly SigningKey[] | ((response: ServerResponse) => void)): void;
}

/** Serves a key set over HTTP on loopback. */
export async function startKeyServer(keys: readonly SigningKey[]): Promise<KeyServer> {
  let answer: (response: ServerResponse) => void;
  let fetches = 0;
  const serve: KeyServer["serve"] = (next) => {
    answer =
      typeof next === "function"
        ? next
        : (response) => response.end(JSON.stringify({ keys: next.map(({ jwk }) => jwk) }));
  };
  serve(keys);
  const server = createServer((_, response) => {
    fetches++;
    answer(response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`,
    get fetches() {
      return fetches;
    },
    serve,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
