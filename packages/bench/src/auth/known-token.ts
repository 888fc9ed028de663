import assert from "node:assert/strict";
import type { AuthRequest } from "@cpg/auth";
import type { Subject, TimedCase, Variant } from "../table.ts";
import { createSignedToken } from "./signed-token.ts";

export const lookupMeasure = "from the string of a JWT to who it is";
export const stringAlone = "the string alone";
export const mapLookup = "Map lookup";
export const knownJwt = "createJwtAuth, a token seen before: authenticate";

/**
 * Headers whose value is a new string each time, as it is of every request: what V8 knows of a string, such as its hash, it
 * knows only of that one.
 */
function freshHeaders(value: string): Headers {
  const bytes = Buffer.from(value, "latin1");
  return Object.defineProperty(new Headers(), "get", { value: () => bytes.toString("latin1") });
}

/** How long it takes to know a token again, without any interceptor around it. */
export const knownTokenVariants: readonly Variant[] = [
  {
    name: stringAlone,
    async setup() {
      const { token } = await createSignedToken();
      const header = freshHeaders(`Bearer ${token}`);
      return subject(() => (header.get("authorization") === null ? undefined : "ann"));
    },
  },
  {
    name: mapLookup,
    async setup() {
      const { token } = await createSignedToken();
      const value = `Bearer ${token}`;
      const header = freshHeaders(value);
      const known = new Map<string | null, string>([[value, "ann"]]);
      return subject(() => known.get(header.get("authorization")));
    },
  },
  {
    name: knownJwt,
    async setup() {
      const { token, auth } = await createSignedToken();
      const request: AuthRequest = { header: freshHeaders(`Bearer ${token}`), peer: undefined, path: "/" };
      await auth.authenticate(request);
      return subject(() => {
        const outcome = auth.authenticate(request);
        return "kind" in outcome && outcome.kind === "proved" ? outcome.auth.identity : undefined;
      });
    },
  },
];

function subject(identify: () => string | undefined): Subject {
  const lookup: TimedCase = {
    kind: "timed",
    async check() {
      assert.equal(identify(), "ann");
    },
    async run(calls) {
      let found = 0;
      for (let call = 0; call < calls; call++) if (identify() === "ann") found++;
      assert.equal(found, calls, "somebody else was found");
    },
  };
  return { cases: new Map([[lookupMeasure, lookup]]), close: () => Promise.resolve() };
}
