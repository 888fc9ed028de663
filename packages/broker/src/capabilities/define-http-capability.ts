import type { Capability } from "./capability.ts";
import { type CapabilityFacts, checkCapabilityFacts } from "./capability-facts.ts";
import type { HttpCapabilityHandler } from "./http-capability-handler.ts";

/**
 * What the host lends over plain HTTP: a handler of Node's requests. Of whatever method they are, they reach it as
 * `/{rest}`, without the credentials. When the grant ends, `call.signal` aborts and the response is cut.
 * @throws {TypeError} naming the option.
 * @example defineHttpCapability((request, response) => response.end(request.url), { type: "files", version: "1.0.0" });
 */
export function defineHttpCapability(handler: HttpCapabilityHandler, definition: CapabilityFacts): Capability {
  checkCapabilityFacts(definition);
  if (typeof handler !== "function") throw new TypeError(`handler must be a function, got ${typeof handler}`);
  const { type, version, requireHolderProof } = definition;
  const serves = { kind: "http", handler } as const;
  return Object.freeze({ type, version, requireHolderProof, serves });
}
