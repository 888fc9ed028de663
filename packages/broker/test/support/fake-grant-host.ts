import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import type { GrantCredentials, LinkIdentity, WaitOptions } from "@cpg/core";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import { HealthService } from "@cpg/core/gen/connectplugin/health/v1/health_pb";
import { CapabilityBroker } from "@cpg/core/gen/connectplugin/v1/broker_pb";
import { GrantService } from "@cpg/core/gen/cpg/broker/v1/grant_pb";
import type { CapabilityLink } from "../../src/client/capability-link.ts";
import { grantRefused } from "../../src/grant-refused.ts";

interface FakeGrant {
  readonly token: string;
  readonly holder: string;
}

/** A host that lends a logger, in memory, and the link of one plugin to it, which a test takes down and brings up. */
export class FakeGrantHost implements CapabilityLink {
  /** Questions to the host and calls of the logger, in order. */
  readonly heard: string[] = [];
  readonly grants = new Map<string, FakeGrant>();
  /** Runs before the host answers: may throw, or wait. */
  before: (question: string) => Promise<void> | void = () => {};
  /** Of grants, in ms. Undefined: the host does not say, and renews nothing, as one of another implementation. */
  ttlMs: number | undefined = 60_000;
  readonly transport: Transport;
  identity: LinkIdentity | undefined = { runtimeId: "plugin-1", hostUrl: "http://host.test" };
  isClosed = false;
  #count = 0;
  readonly #listeners = new Set<(identity: LinkIdentity | undefined) => void>();
  readonly #waiters = new Set<() => void>();

  constructor() {
    const host = this.#serve();
    this.transport = {
      unary: async (...call) => await this.#reach(host).unary(...call),
      stream: async (...call) => await this.#reach(host).stream(...call),
    };
  }

  /** Listeners and waits that somebody left behind, or still needs. */
  get held(): number {
    return this.#listeners.size + this.#waiters.size;
  }

  count(question: string): number {
    return this.heard.filter((other) => other.startsWith(question)).length;
  }

  /** As a restart: nothing of the grants is left. */
  forgetGrants(): void {
    this.grants.clear();
  }

  takeIdentity(runtimeId: string | undefined): void {
    this.identity = runtimeId === undefined ? undefined : { runtimeId, hostUrl: "http://host.test" };
    for (const look of [...this.#waiters]) look();
    for (const listener of [...this.#listeners]) listener(this.identity);
  }

  close(): void {
    this.isClosed = true;
    this.takeIdentity(undefined);
  }

  transportTo(): Transport {
    return this.transport;
  }

  transportWith({ path, bearerToken }: GrantCredentials): Transport {
    const id = path.split("/").at(-1) ?? "";
    const check = () => {
      const { token } = this.grants.get(id) ?? {};
      if (token === undefined) throw grantRefused("unknown grant", Code.NotFound);
      if (token !== bearerToken) throw grantRefused("wrong token", Code.Unauthenticated);
    };
    const lent = createRouterTransport(({ service }) => {
      service(Logger, {
        log: async ({ message }) => {
          await this.#hear(`Log ${id} ${message}`);
          check();
          return {};
        },
      });
      service(HealthService, {
        watch: async function* watch() {
          check();
          yield {};
          check();
          yield {};
        },
      });
    });
    return {
      unary: async (...call) => await this.#reach(lent).unary(...call),
      stream: async (...call) => await this.#reach(lent).stream(...call),
    };
  }

  onIdentityChange(listener: (identity: LinkIdentity | undefined) => void): () => void {
    const own = (identity: LinkIdentity | undefined) => listener(identity);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  whenLinked({ signal }: WaitOptions = {}): Promise<LinkIdentity> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (signal?.aborted) reject(signal.reason);
        else if (this.isClosed) reject(new ConnectError("the link is closed", Code.Unavailable));
        else if (this.identity !== undefined) resolve(this.identity);
        else return;
        this.#waiters.delete(look);
        signal?.removeEventListener("abort", look);
      };
      this.#waiters.add(look);
      signal?.addEventListener("abort", look);
      look();
    });
  }

  #reach(host: Transport): Transport {
    if (this.identity === undefined) throw new ConnectError("the link is down", Code.Unavailable);
    return host;
  }

  async #hear(question: string): Promise<void> {
    this.heard.push(question);
    await this.before(question);
  }

  #give(type: string, holder: string) {
    this.#count += 1;
    const grantId = `g${this.#count}`;
    const token = `token-${grantId}`;
    this.grants.set(grantId, { token, holder });
    const ours =
      this.ttlMs === undefined ? {} : { ttl: durationFromMs(this.ttlMs), renewable: true, accessor: `a-${grantId}` };
    const endpointUrl = `http://public.test/capabilities/${type}/${grantId}`;
    return { grant: { grantId, endpointUrl, bearerToken: token, capabilityType: type, version: "1.2.0", ...ours } };
  }

  #known(grantId: string): void {
    if (!this.grants.has(grantId)) throw new ConnectError("unknown grant", Code.NotFound);
  }

  #serve(): Transport {
    return createRouterTransport(({ service }) => {
      service(CapabilityBroker, {
        requestCapability: async ({ capabilityType, minVersion, reason, ttl }) => {
          const holder = this.identity?.runtimeId ?? "nobody";
          await this.#hear(`Request ${capabilityType} ${minVersion} ${reason} ${ttl?.seconds ?? ""}`.trim());
          return this.#give(capabilityType, holder);
        },
      });
      if (this.ttlMs === undefined) return;
      service(GrantService, {
        renewGrant: async ({ grantId }) => {
          await this.#hear(`Renew ${grantId}`);
          this.#known(grantId);
          return this.ttlMs === undefined ? {} : { ttl: durationFromMs(this.ttlMs), renewable: true };
        },
        deriveGrant: async ({ grantId, holderId, methods, ttl, reason }) => {
          await this.#hear(`Derive ${grantId} ${holderId} ${methods} ${ttl?.seconds ?? ""} ${reason}`);
          this.#known(grantId);
          return this.#give("logger", holderId);
        },
        returnGrant: async ({ grantId }) => {
          await this.#hear(`Return ${grantId}`);
          this.#known(grantId);
          this.grants.delete(grantId);
          return {};
        },
      });
    });
  }
}
