import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import { describe, expect, it } from "vitest";
import { createLoggerService, type LogWriter } from "./logger-service.ts";

function scene(options?: { readonly burst: number }) {
  const lines: unknown[][] = [];
  const level = (name: string) => (fields: object, message: string) => void lines.push([name, fields, message]);
  const ends: (() => void)[] = [];
  const writer: LogWriter = {
    runtimeId: "kv-1",
    onEnd(listener) {
      const end = () => listener(new ConnectError("gone", Code.Unauthenticated));
      ends.push(end);
      return () => {};
    },
  };
  let current: LogWriter | undefined = writer;
  const target = { debug: level("debug"), info: level("info"), warn: level("warn"), error: level("error") };
  const transport = createRouterTransport(({ service }) => {
    service(
      Logger,
      createLoggerService(target, options, () => current),
    );
  });
  return {
    lines,
    ends,
    client: createClient(Logger, transport),
    comeFromNobody() {
      current = undefined;
    },
  };
}

describe("the Logger service of a host", () => {
  it("writes what plugins log, with their ids, in the levels of the host", async () => {
    const { client, lines } = scene();
    await client.log({ level: "warn", message: "low", fields: { left: "3" } });
    await client.log({ level: "loud", message: "what?" });
    expect(lines).toEqual([
      ["warn", { plugin: "kv-1", fields: { left: "3" } }, "low"],
      ["info", { plugin: "kv-1", pluginLevel: "loud" }, "what?"],
    ]);
  });

  it("refuses calls that come from no plugin", async () => {
    const { client, lines, comeFromNobody } = scene();
    comeFromNobody();
    await expect(client.log({ message: "x" })).rejects.toMatchObject({ code: Code.Unauthenticated });
    expect(lines).toEqual([]);
  });

  it("answers what it drops as what it writes, and reports it when the plugin ends", async () => {
    const { client, lines, ends } = scene({ burst: 1 });
    for (let count = 0; count < 3; count++) await client.log({ level: "info", message: "x" });
    expect(ends).toHaveLength(1);
    ends[0]?.();
    expect(lines.map(([, fields]) => fields)).toEqual([
      { plugin: "kv-1" },
      { plugin: "kv-1" },
      { plugin: "kv-1", dropped: 2 },
    ]);
  });
});
