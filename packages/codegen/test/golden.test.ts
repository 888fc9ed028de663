import { describe, expect, it } from "vitest";
import { generateCase, goldenCases, readGolden } from "./support/golden-cases.ts";

describe("the generated files", () => {
  it.each(goldenCases)("are byte for byte what they were: $name ($parameter)", async (golden) => {
    const generated = await generateCase(golden);
    const expected = readGolden(golden);
    expect([...generated.keys()].sort()).toEqual([...expected.keys()].sort());
    expect(Object.fromEntries(generated)).toEqual(Object.fromEntries(expected));
  });

  it("are none for a file without services", () => {
    const [ts] = goldenCases;
    const names = ts === undefined ? [] : [...readGolden(ts).keys()];
    expect(names).toContain("shared/v1/messages_pb.ts");
    expect(names).not.toContain("shared/v1/messages_cpg.ts");
  });
});
