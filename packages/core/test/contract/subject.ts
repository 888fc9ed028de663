import type { CallOptions, Client } from "@connectrpc/connect";
import type { CallTransport, LaunchedPlugin, ManagingHost, PluginClientOptions } from "@cpg/core";
import type { ContractService, LayeredService, Step, StepInit, WitnessService } from "./contract-messages.ts";
import type { ContractPlugins } from "./contract-plugin.ts";

/** How a case wants its client. */
export interface StartOptions
  extends Pick<
    PluginClientOptions<ContractPlugins>,
    "interceptors" | "maxMessageBytes" | "callTimeoutMs" | "appProtocolVersions" | "selfId"
  > {
  /** Gives the plugin a runtime identity. */
  readonly host?: ManagingHost | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The contract plugin, running somewhere, and what a host can do with it. */
export interface StartedPlugin
  extends Pick<
    LaunchedPlugin<ContractPlugins>,
    "connect" | "dispense" | "controlToken" | "identity" | "stop" | "kill" | "exited"
  > {
  openTransport(): CallTransport;
  [Symbol.asyncDispose](): PromiseLike<void>;
}

/** What is particular to a way of carrying calls. Everything else has to be the same for all of them. */
export interface Traits {
  /** Network of the peer that a handler sees. */
  readonly network: "unix" | "tcp" | "memory";
  /** As a handler sees it. */
  readonly protocol: "connect" | "grpc" | "grpc-web";
  readonly httpVersion: "1.1" | "2" | undefined;
  /** Both sides see one and the same message. */
  readonly byReference: boolean;
  /** Whether launchPlugin started it, and knows its end. */
  readonly launched: boolean;
  /** Whether the connection by itself proves to the plugin that its host calls. */
  readonly provesHost: boolean;
  /** Most bytes that a producer may be ahead of its reader. */
  readonly aheadBytes: number;
}

/** A way in which a plugin is reached. */
export interface Carrier {
  readonly title: string;
  readonly traits: Traits;
  /** Its plugin lives and dies as that of another carrier; only its calls travel in another way. */
  readonly onlyCalls?: boolean;
  start(options?: StartOptions): Promise<StartedPlugin>;
}

/** What a case is about: a plugin that all cases of one carrier share, so none may harm it. */
export interface Subject {
  readonly carrier: Carrier;
  readonly traits: Traits;
  readonly plugin: StartedPlugin;
  readonly contract: Client<typeof ContractService>;
  readonly layered: Client<typeof LayeredService>;
  readonly witness: Client<typeof WitnessService>;
  /** Of the plugin behind `layered`, which has a client of its own. */
  readonly layeredWitness: Client<typeof WitnessService>;
  /** A key that no other case uses. */
  readonly key: string;
}

export interface ContractCase {
  readonly title: string;
  /** It needs a stream that flows both ways, which HTTP/1.1 does not carry. */
  readonly bidi?: boolean;
  run(subject: Subject): Promise<void>;
}

export type Caller = Client<typeof ContractService>;

/** One of the four kinds of RPC, so that a case can be said once for all of them. */
export interface Kind {
  readonly kind: "unary" | "server stream" | "client stream" | "bidi stream";
  readonly bidi: boolean;
  readonly streamsOut: boolean;
  /** Sends one step, after `before` that only echo where there is room for them. Resolves with all answers. */
  call(client: Caller, step: StepInit, options?: CallOptions, before?: number): Promise<Step[]>;
  /** The same as a stream, of one message for those that answer only one. */
  open(client: Caller, step: StepInit, options?: CallOptions, before?: number): AsyncIterable<Step>;
}
