import { create, toBinary } from "@bufbuild/protobuf";
import { PlatformStateSchema } from "@cpg/core/gen/cpg/admin/v1/admin_pb";
import { describe, expect, it } from "vitest";
import type { PlatformPluginState } from "../state-view/platform-state.ts";
import { wireState } from "./wire-state.ts";

/** As much text as a plugin can have, in characters of 3 bytes. */
const failedPlugin = (index: number): PlatformPluginState => ({
  id: `plugin-${index}`,
  kind: "managed",
  optional: false,
  operation: undefined,
  replacing: undefined,
  state: "failed",
  stage: undefined,
  sinceMs: 0,
  runtimeId: undefined,
  selfId: `plugin-${index}`,
  selfVersion: "1.0.0",
  provides: [{ type: `type-${index}`, version: "1.0.0" }],
  requires: [],
  endpoint: undefined,
  pid: undefined,
  launches: 1,
  ends: 1,
  lastError: { code: "unavailable", message: "\u20ac".repeat(5_000) },
  lastExit: undefined,
  stderrTail: Array.from({ length: 20 }, (_, line) => `${line}${"\u20ac".repeat(1_000)}`),
  health: undefined,
  inFlight: 0,
  draining: false,
});

const stateOf = (count: number) =>
  create(
    PlatformStateSchema,
    wireState({
      timeMs: 0,
      revision: 1,
      plugins: Array.from({ length: count }, (_, index) => failedPlugin(index)),
      guests: [],
      services: [],
      graph: { layers: [], edges: [], problems: [] },
    }),
  );

describe("a state on the wire", () => {
  it("has the message and the last ten lines of a plugin, each cut", () => {
    const run = stateOf(1).plugins[0]?.run;
    expect(run?.lastError?.message.length).toBe(1_001);
    expect(run?.stderrTail.map((line) => line.length)).toEqual(Array(10).fill(401));
    expect(run?.stderrTail.at(-1)).toMatch(/^19/);
  });

  it.each([100, 1_000, 2_000])("of %d failed plugins fits into a message of 4 MiB, with a line of each", (count) => {
    const state = stateOf(count);
    expect(toBinary(PlatformStateSchema, state).length).toBeLessThan(4 * 1024 * 1024);
    expect(state.plugins.every(({ run }) => run?.stderrTail.at(-1)?.startsWith("19") === true)).toBe(true);
  });
});
