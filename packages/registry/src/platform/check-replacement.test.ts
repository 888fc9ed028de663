import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { GraphPlugin } from "../graph/graph-plugin.ts";
import { checkReplacement } from "./check-replacement.ts";

const log = (version: string) => [{ type: "log", version }];

/** The message of the refusal; undefined when there is none. */
function refusal(
  next: NonNullable<GraphPlugin["provides"]>,
  { others = [], allowDowngrade = false }: { others?: readonly GraphPlugin[]; allowDowngrade?: boolean } = {},
): string | undefined {
  const plugins = [{ id: "p", provides: log("2.0.0") }, ...others];
  try {
    checkReplacement({ id: "p", old: log("2.0.0"), next, plugins, allowDowngrade });
    return undefined;
  } catch (reason) {
    const { code, rawMessage } = ConnectError.from(reason);
    return `${Code[code]}: ${rawMessage}`;
  }
}

describe("checkReplacement", () => {
  const user = (minVersion?: string, requiredForStartup = true): GraphPlugin => ({
    id: "user",
    requires: [{ type: "log", minVersion, requiredForStartup }],
  });

  it.each([
    { of: "the same version", next: log("2.0.0") },
    { of: "a newer one", next: log("3.0.0") },
    { of: "one more type", next: [...log("2.0.0"), { type: "more", version: "1.0.0" }] },
    { of: "an older one, if that is allowed", next: log("1.0.0"), allowDowngrade: true },
    { of: "an older one that does for its users", next: log("1.0.0"), allowDowngrade: true, others: [user("1.0.0")] },
    { of: "nothing, if that is allowed", next: [], allowDowngrade: true },
    {
      of: "nothing, if another has it",
      next: [],
      allowDowngrade: true,
      others: [user(), { id: "other", provides: log("1.0.0") }],
    },
    { of: "nothing, if nobody needs it to start", next: [], allowDowngrade: true, others: [user("1.0.0", false)] },
    { of: "what does not mend what lacked before", next: log("2.1.0"), others: [user("9.0.0")] },
  ])("takes $of", ({ next, ...rest }) => {
    expect(refusal(next, rest)).toBeUndefined();
  });

  it.each([
    { of: "an older version", next: log("1.9.0"), names: ["log 1.9.0", "older than 2.0.0"] },
    { of: "a prerelease of the same", next: log("2.0.0-rc.1"), names: ["2.0.0-rc.1"] },
    { of: "a missing type", next: [], names: ["does not provide log"] },
    {
      of: "what is too old for a user, even if downgrades are allowed",
      next: log("1.0.0"),
      allowDowngrade: true,
      others: [user("1.5.0")],
      names: ["user", "log 1.5.0", "p has 1.0.0"],
    },
    {
      of: "what lacks what a user needs, even if downgrades are allowed",
      next: [],
      allowDowngrade: true,
      others: [user()],
      names: ["user", "log"],
    },
  ])("refuses $of, by name", ({ next, names, ...rest }) => {
    const message = refusal(next, rest);
    for (const name of ["FailedPrecondition", ...names]) expect(message).toContain(name);
  });
});
