import { Code, ConnectError, type Interceptor, type ServiceImpl } from "@connectrpc/connect";
import { createMemoryServer } from "@cpg/core";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { createEcho, EchoService } from "./support/echo-service.ts";

const { unary } = EchoService.method;
type UnaryImpl = ServiceImpl<typeof EchoService>["unary"];

const never: UnaryImpl = () => new Promise(() => {});
const codeOf = (reason: unknown) => (reason as ConnectError).code;
const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

describe("interceptors of the client", () => {
  const through = (interceptor: Interceptor, handler: UnaryImpl = (request) => request) => {
    const clock = new FakeClock();
    const impl = { ...createEcho(), unary: handler };
    const server = createMemoryServer({ routes: (router) => router.service(EchoService, impl), clock });
    return { server, clock, transport: server.connect({ interceptors: [interceptor] }) };
  };

  it("may copy requests and responses by spread", async () => {
    const keys: string[][] = [];
    const { transport } = through((next) => async (request) => {
      const copy = { ...request };
      keys.push(Object.keys(copy).sort());
      const response = await next(copy);
      keys.push(Object.keys(response).sort());
      return { ...response };
    });
    const response = await transport.unary(unary, undefined, 100, { "x-a": "1" }, { text: "a" });
    expect(keys).toEqual([
      ["contextValues", "header", "message", "method", "requestMethod", "service", "signal", "stream", "url"],
      ["header", "message", "method", "service", "stream", "trailer"],
    ]);
    expect(response.header.get("content-type")).toBe("application/proto");
    expect([...response.trailer]).toEqual([]);
    expect(response.service).toBe(EchoService);
  });

  it("see all headers, and what they set travels, on the request itself or on a copy", async () => {
    for (const copy of [false, true]) {
      const seen: unknown[] = [];
      const { transport } = through(
        (next) => (request) => {
          seen.push(request.header.get("connect-timeout-ms"), request.header.get("x-a"));
          request.header.set("x-b", "2");
          return next(copy ? { ...request, header: new Headers(request.header) } : request);
        },
        (request, { requestHeader, timeoutMs }) => {
          seen.push(requestHeader.get("x-a"), requestHeader.get("x-b"), timeoutMs());
          return request;
        },
      );
      await transport.unary(unary, undefined, 100, { "x-a": "1" }, {});
      expect(seen).toEqual(["100", "1", "1", "2", 100]);
    }
  });

  it("may shorten the time by its header, and lengthen it no further than the caller's", async () => {
    for (const { timeout, endsMs } of [
      { timeout: "40", endsMs: 40 },
      { timeout: "400", endsMs: 100 },
    ]) {
      const { transport, clock } = through(
        (next) => (request) => {
          request.header.set("connect-timeout-ms", timeout);
          return next(request);
        },
        never,
      );
      const ended = transport.unary(unary, undefined, 100, undefined, {}).catch(codeOf);
      let code: unknown;
      void ended.then((value) => {
        code = value;
      });
      await clock.advance(endsMs - 1);
      expect(code).toBe(undefined);
      await clock.advance(1);
      expect(await ended).toBe(Code.DeadlineExceeded);
      expect(clock.pending).toBe(0);
    }
  });

  it("that wait before they pass the request on leave the handler what is left of the time", async () => {
    let leftMs: number | undefined;
    const clocks: FakeClock[] = [];
    const { transport, clock } = through(
      (next) => async (request) => {
        await clocks[0]?.sleep(60);
        return next(request);
      },
      (request, context) => {
        leftMs = context.timeoutMs();
        return never(request, context);
      },
    );
    clocks.push(clock);
    const ended = transport.unary(unary, undefined, 100, undefined, {}).catch(codeOf);
    await clock.advance(60);
    expect(leftMs).toBe(40);
    await clock.advance(40);
    expect(await ended).toBe(Code.DeadlineExceeded);
    expect(clock.pending).toBe(0);
  });

  it("that pass nothing on hear of the deadline", async () => {
    const { transport, clock } = through(
      () => (request) =>
        new Promise((_, reject) => request.signal.addEventListener("abort", () => reject(request.signal.reason))),
    );
    const ended = transport.unary(unary, undefined, 100, undefined, {}).catch(codeOf);
    await clock.advance(100);
    expect(await ended).toBe(Code.DeadlineExceeded);
  });

  it("that let the time run out cannot pass the request on any more", async () => {
    let begun = 0;
    const clocks: FakeClock[] = [];
    const { transport, clock } = through(
      (next) => async (request) => {
        await clocks[0]?.sleep(200);
        return next(request);
      },
      (request) => {
        begun++;
        return request;
      },
    );
    clocks.push(clock);
    const ended = transport.unary(unary, undefined, 100, undefined, {}).catch(codeOf);
    await clock.advance(200);
    expect(await ended).toBe(Code.DeadlineExceeded);
    expect(begun).toBe(0);
  });

  it("that answer by themselves end the calls that they have passed on", async () => {
    const signals: AbortSignal[] = [];
    const { transport, server, clock } = through(
      (next) => (request) => {
        for (const attempt of [next(request), next(request)]) attempt.catch(() => {});
        return Promise.reject(new ConnectError("enough", Code.Aborted));
      },
      (_, { signal }) => {
        signals.push(signal);
        return new Promise((__, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      },
    );
    const ended = transport.unary(unary, undefined, 100, undefined, {}).catch(codeOf);
    expect(await ended).toBe(Code.Aborted);
    await turn();
    expect(server.inFlight).toBe(0);
    expect(signals.every(({ aborted }) => aborted)).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it("may pass a request on again after a failure", async () => {
    let attempts = 0;
    const { transport } = through(
      (next) => (request) => next(request).catch(() => next(request)),
      (request) => {
        attempts++;
        if (attempts === 1) throw new ConnectError("once", Code.Unavailable);
        return request;
      },
    );
    expect((await transport.unary(unary, undefined, 100, undefined, { text: "a" })).message.text).toBe("a");
  });

  it.each<{ what: string; handler: UnaryImpl; code: Code }>([
    { what: "success", handler: (request) => request, code: Code.Canceled },
    { what: "the deadline", handler: never, code: Code.DeadlineExceeded },
  ])("that look at the signal only after $what find it aborted", async ({ handler, code }) => {
    const requests: { signal: AbortSignal }[] = [];
    const { transport, clock } = through(
      (next) => (request) => {
        requests.push(request);
        return next(request);
      },
      handler,
    );
    const ended = transport.unary(unary, undefined, 100, undefined, {}).catch(codeOf);
    await clock.advance(100);
    await ended;
    expect(requests.map(({ signal }) => [signal.aborted, codeOf(signal.reason)])).toEqual([[true, code]]);
  });

  it("are prepared once for all calls of a transport", async () => {
    let prepared = 0;
    const { transport } = through((next) => {
      prepared++;
      return (request) => next(request);
    });
    for (let call = 0; call < 3; call++) await transport.unary(unary, undefined, undefined, undefined, {});
    expect(prepared).toBe(1);
  });
});
