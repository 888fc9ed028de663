import type { DescService } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { createServiceClient } from "../../src/client/service-client.ts";
import { Logger } from "../../src/gen/capability/logger/v1/logger_pb.ts";
import { HealthService } from "../../src/gen/connectplugin/health/v1/health_pb.ts";
import { PluginControl } from "../../src/gen/connectplugin/v1/plugin_pb.ts";
import type { StopOptions } from "../../src/launch/launch-plugin.ts";
import type { ExitReport } from "../../src/launch/launch-strategy.ts";
import type { Incarnation } from "../../src/supervision/incarnation.ts";
import { connectionFailed } from "../../src/wire/call-error.ts";
import type { CallTransport } from "../../src/wire/call-transport.ts";
import { parseEndpoint } from "../../src/wire/endpoint.ts";

const endpoint = parseEndpoint("unix:/fake.sock");

/** A launch that the test decides about. */
export class FakeLaunch {
  readonly number: number;
  readonly signal: AbortSignal;
  readonly outcome = Promise.withResolvers<Incarnation>();
  /** What came of it, if it succeeded in time. */
  process: FakeProcess | undefined;
  settled = false;

  constructor(number: number, signal: AbortSignal) {
    this.number = number;
    this.signal = signal;
  }

  succeed(): FakeProcess {
    const process = new FakeProcess(this.number);
    if (!this.settled) this.process = process;
    this.settled = true;
    this.outcome.resolve(process);
    return process;
  }

  fail(code: Code, message = "no luck"): void {
    this.#reject(new ConnectError(message, code));
  }

  /** Fails as a launch does that was given up, once it is. */
  honourAbort(): void {
    this.signal.addEventListener("abort", () => this.#reject(this.signal.reason), { once: true });
  }

  #reject(reason: unknown): void {
    this.settled = true;
    this.outcome.reject(reason);
  }
}

/** A process in memory. Its plugins: logger, which answers, and health, whose Watch streams until the process ends. */
export class FakeProcess implements Incarnation {
  readonly number: number;
  readonly plugin: Incarnation["plugin"];
  readonly clients: ReadonlyMap<string, Client<DescService>>;
  /** What happened to it, in order: "log TEXT", "stop GRACE", "kill". */
  readonly calls: string[] = [];
  /** Time-outs that calls came with, in ms. */
  readonly timeouts: (number | undefined)[] = [];
  /** How it takes a probe. */
  probed: "answers" | "answers garbage" | "is silent" | "refuses connections" = "answers";
  /** How it takes calls of its plugins. */
  called: "answers" | "refuses connections" | "breaks connections" | "is closed" | "is silent" = "answers";
  /** Whether stop waits for a kill. */
  stubborn = false;
  unkillable = false;
  ended = false;
  /** Whether its connections were closed. */
  closed = false;
  openTransports = 0;
  readonly #exit = Promise.withResolvers<ExitReport>();

  constructor(number: number) {
    this.number = number;
    const transport = this.#transport();
    this.clients = new Map<string, Client<DescService>>([
      ["logger", createServiceClient<DescService>(Logger, transport)],
      ["health", createServiceClient<DescService>(HealthService, transport)],
    ]);
    this.plugin = {
      endpoint: `unix:/fake-${number}.sock`,
      pid: 1_000 + number,
      exited: this.#exit.promise,
      stderrTail: () => [`last words of ${number}`],
      stop: (options) => this.#stop(options),
      kill: () => this.#kill(),
      openTransport: () => this.#openTransport(),
    };
  }

  end(report: Partial<ExitReport> = {}): void {
    this.ended = true;
    this.#exit.resolve({ code: null, signal: null, how: "exited", ...report });
  }

  #stop({ graceMs }: StopOptions = {}): Promise<ExitReport> {
    this.calls.push(`stop ${graceMs}`);
    this.closed = true;
    if (!this.stubborn && !this.unkillable) this.end({ code: 0, how: "asked" });
    return this.unkillable ? this.#kill() : this.#exit.promise;
  }

  async #kill(): Promise<ExitReport> {
    if (!this.ended) this.calls.push("kill");
    if (this.unkillable && !this.ended) throw new ConnectError("still there", Code.DeadlineExceeded);
    this.end({ signal: "SIGKILL", how: "sigkill" });
    this.closed = true;
    return this.#exit.promise;
  }

  #openTransport(): CallTransport {
    this.openTransports++;
    const { transport: inner } = createPlugin(async (signal) => {
      if (this.probed === "answers garbage") throw new ConnectError("HTTP 404", Code.Unimplemented);
      if (this.probed === "is silent") await aborted(signal);
    });
    const check = () => {
      if (this.probed === "refuses connections") throw connectionFailed(endpoint, "connect", "refused");
    };
    const close = async () => {
      this.openTransports--;
    };
    return { transport: checked(inner, check), httpVersion: "1.1", close };
  }

  #transport(): Transport {
    const { transport } = createPlugin(
      async () => {},
      async (text, signal, timeoutMs) => {
        this.calls.push(`log ${text}`);
        this.timeouts.push(timeoutMs);
        if (this.called === "is silent") await aborted(signal);
      },
      this.#exit.promise,
      () => this.calls.push("watch left"),
    );
    return checked(transport, () => {
      if (this.called === "is closed") throw new ConnectError("the transport is closed", Code.Canceled);
      if (this.called === "refuses connections") throw connectionFailed(endpoint, "connect", "refused");
      if (this.called === "breaks connections") throw connectionFailed(endpoint, "call", "reset");
    });
  }
}

function createPlugin(
  getHealth: (signal: AbortSignal) => Promise<void>,
  log: (text: string, signal: AbortSignal, timeoutMs: number | undefined) => Promise<void> = async () => {},
  ended: Promise<unknown> = Promise.resolve(),
  onLeft: () => void = () => {},
): { transport: Transport } {
  const transport = createRouterTransport((router) => {
    router.service(PluginControl, {
      async getHealth(_request, { signal }) {
        await getHealth(signal);
        return {};
      },
    });
    router.service(Logger, {
      async log({ message }, { signal, timeoutMs }) {
        await log(message, signal, timeoutMs());
        return {};
      },
    });
    router.service(HealthService, {
      async *watch(_request, { signal }) {
        signal.addEventListener("abort", onLeft, { once: true });
        yield { status: 1 };
        await Promise.race([ended, aborted(signal)]);
        throw connectionFailed(endpoint, "call", "reset");
      },
    });
  });
  return { transport };
}

function checked(inner: Transport, check: () => void): Transport {
  return {
    async unary(...call) {
      check();
      return inner.unary(...call);
    },
    async stream(...call) {
      check();
      return inner.stream(...call);
    },
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
