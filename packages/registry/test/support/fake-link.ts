import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import type { LinkIdentity, WaitOptions } from "@cpg/core";
import { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import type { RegistryLink } from "../../src/client/registry-link.ts";

export interface FakeRegistration {
  readonly id: string;
  readonly runtimeId: string;
  readonly type: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const ours = { "cpg.runtime": "1", "cpg.router": "1" } as const;

/** A host in memory, and the link of a plugin to it, which a test takes down, brings up and ends. */
export class FakeLink implements RegistryLink {
  readonly isOurs: boolean;
  /** "Method runtimeId", in order. */
  readonly calls: string[] = [];
  registrations: FakeRegistration[] = [];
  /** Of the answers to registrations. */
  lease: { seconds: bigint; nanos: number } | undefined;
  /** Runs in each call before the host does anything: may throw, or wait. */
  before: (method: string) => Promise<void> | void = () => {};
  /** Runs in each call after the host has done it: may throw, or wait. */
  after: (method: string) => Promise<void> | void = () => {};
  readonly registrationMetadata: Readonly<Record<string, string>> = { base_url: "http://plugin.test" };
  readonly transport: Transport;
  state: RegistryLink["state"] = "linked";
  identity: LinkIdentity | undefined = { runtimeId: "plugin-1", hostUrl: "http://host.test" };
  #count = 0;
  readonly #listeners = new Set<(identity: LinkIdentity | undefined) => void>();
  readonly #waiters = new Set<() => void>();

  constructor({ isOurs = true }: { readonly isOurs?: boolean } = {}) {
    this.isOurs = isOurs;
    const host = this.#serve();
    const reach = (): Transport => {
      if (this.state !== "linked") throw new ConnectError("the link is down", Code.Unavailable);
      return host;
    };
    this.transport = {
      unary: async (...call) => await reach().unary(...call),
      stream: async (...call) => await reach().stream(...call),
    };
  }

  get hostMetadata(): Readonly<Record<string, string>> {
    return this.isOurs && this.identity !== undefined ? ours : {};
  }

  transportTo(): Transport {
    return this.transport;
  }

  onIdentityChange(listener: (identity: LinkIdentity | undefined) => void): () => void {
    const own = (identity: LinkIdentity | undefined) => listener(identity);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** How many listen or wait. */
  get held(): number {
    return this.#listeners.size + this.#waiters.size;
  }

  whenLinked({ signal }: WaitOptions = {}): Promise<LinkIdentity> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (signal?.aborted) reject(signal.reason);
        else if (this.state === "closed") reject(new ConnectError("the link is closed", Code.Unavailable));
        else if (this.state === "linked" && this.identity !== undefined) resolve(this.identity);
        else return;
        this.#waiters.delete(look);
        signal?.removeEventListener("abort", look);
      };
      this.#waiters.add(look);
      signal?.addEventListener("abort", look);
      look();
    });
  }

  /** The host is away; the identity may still be good when it is back. */
  goDown(): void {
    this.#become("backoff", this.identity);
  }

  comeBack(): void {
    this.#become("linked", this.identity);
  }

  /** The host has ended the identity, with what belonged to it if it is one of ours. */
  loseIdentity(): void {
    this.#endIdentity();
    this.#become("connecting", undefined);
  }

  /** In place of the one before, which the link gives back. */
  takeIdentity(runtimeId: string): void {
    this.#endIdentity();
    this.#become("linked", { runtimeId, hostUrl: "http://host.test" });
  }

  close(): void {
    this.#become("closed", undefined);
  }

  count(method: string): number {
    return this.calls.filter((call) => call.startsWith(`${method} `)).length;
  }

  #endIdentity(): void {
    const { runtimeId } = this.identity ?? {};
    if (this.isOurs) this.registrations = this.registrations.filter((other) => other.runtimeId !== runtimeId);
  }

  #become(state: RegistryLink["state"], identity: LinkIdentity | undefined): void {
    const before = this.identity;
    this.state = state;
    this.identity = identity;
    for (const look of [...this.#waiters]) look();
    if (before?.runtimeId === identity?.runtimeId) return;
    for (const listener of [...this.#listeners]) listener(identity);
  }

  #serve(): Transport {
    const call = async <T>(method: string, answer: (runtimeId: string) => T): Promise<T> => {
      const runtimeId = this.identity?.runtimeId ?? "nobody";
      this.calls.push(`${method} ${runtimeId}`);
      await this.before(method);
      if (this.isOurs && this.identity?.runtimeId !== runtimeId) throw new ConnectError("gone", Code.Unauthenticated);
      const given = answer(runtimeId);
      await this.after(method);
      return given;
    };
    return createRouterTransport(({ service }) => {
      service(ServiceRegistry, {
        registerService: ({ serviceType: type, metadata }) =>
          call("Register", (runtimeId) => {
            const known = this.registrations.find((other) => other.runtimeId === runtimeId && other.type === type);
            const lease = this.lease === undefined ? {} : { lease: this.lease };
            if (this.isOurs && known !== undefined) return { registrationId: known.id, ...lease };
            this.#count += 1;
            const id = `r${this.#count}`;
            this.registrations.push({ id, runtimeId, type, metadata });
            return { registrationId: id, ...lease };
          }),
        unregisterService: ({ registrationId }) =>
          call("Unregister", () => {
            const left = this.registrations.filter(({ id }) => id !== registrationId);
            if (left.length === this.registrations.length) throw new ConnectError("unknown", Code.NotFound);
            this.registrations = left;
            return {};
          }),
        discoverService: ({ serviceType }) =>
          call("Discover", () => {
            if (!this.registrations.some(({ type }) => type === serviceType)) {
              throw new ConnectError("nobody", Code.NotFound);
            }
            return {};
          }),
      });
    });
  }
}
