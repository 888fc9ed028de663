import { readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";

const readme = new URL("../../README.md", import.meta.url);
const begin = "<!-- interop: begin -->";
const end = "<!-- interop: end -->";

/** What is tested of other implementations: rows are pairs, and each cell is a test that ran. */
export function createMatrix() {
  const rows = new Map<string, string[]>();
  const failed = new Set<string>();
  return {
    /** A test that is a cell. */
    cell(row: string, what: string, test: () => Promise<void>): void {
      rows.set(row, [...(rows.get(row) ?? []), what]);
      it(`${row}: ${what}`, async () => {
        failed.add(row + what);
        await test();
        failed.delete(row + what);
      });
    },
    /** The last test: the table of the README is what was run, all of it. */
    isInReadme(): void {
      it("the table of the README shows what was tested, and all of it held", () => {
        expect([...failed]).toEqual([]);
        const table = [...rows].map(
          ([row, cells]) => `| ${row} | ${cells.join(", ")} | ${cells.length} of ${cells.length} |`,
        );
        const wanted = `\n\n${["| pair | tested | held |", "|---|---|---|", ...table].join("\n")}\n\n`;
        const content = readFileSync(readme, "utf8");
        const [from, to] = [content.indexOf(begin) + begin.length, content.indexOf(end)];
        const written = content.slice(0, from) + wanted + content.slice(to);
        if (process.env.WRITE_INTEROP === "1") writeFileSync(readme, written);
        expect(readFileSync(readme, "utf8"), "run the tests with WRITE_INTEROP=1 to write the table").toBe(written);
      });
    },
  };
}
