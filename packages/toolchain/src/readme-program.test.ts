import { describe, expect, it } from "vitest";
import { readmeProgram } from "./readme-program.ts";

const fence = (info: string, code: string) => `\`\`\`${info}\n${code}\n\`\`\`\n`;

describe("readmeProgram", () => {
  it.each([
    {
      title: "one file, run without a command",
      markdown: `# x\n\n${fence('ts title="a.ts"', "one();")}`,
      files: { "a.ts": "one();\n" },
      runs: [{ entry: "a.ts", output: undefined }],
    },
    {
      title: "the last of several files when no command is given",
      markdown: fence('ts title="a.ts"', "one();") + fence('ts title="b.ts"', "two();"),
      files: { "a.ts": "one();\n", "b.ts": "two();\n" },
      runs: [{ entry: "b.ts", output: undefined }],
    },
    {
      title: "the file that the command names, and the text fence after it as its output",
      markdown: `${fence('ts title="a.ts"', "one();")}${fence('ts title="b.ts"', "two();")}\n\`node a.ts\` prints\n\n${fence("text", "hello\nyou\n")}`,
      files: { "a.ts": "one();\n", "b.ts": "two();\n" },
      runs: [{ entry: "a.ts", output: "hello\nyou" }],
    },
    {
      title: "names in the sentence before, output in the line",
      markdown: `Shared by \`other.ts\`, \`a.ts\`:\n\n${fence("ts", "one();")}\n\`node a.ts\` prints \`hi\`. More.`,
      files: { "a.ts": "one();\n" },
      runs: [{ entry: "a.ts", output: "hi" }],
    },
    {
      title: "two commands, each with its own output",
      markdown: `${fence('ts title="a.ts"', "one();")}\`node a.ts\` prints\n${fence("text", "1")}${fence('ts title="b.ts"', "two();")}\`node b.ts\` prints\n${fence("text", "2")}`,
      files: { "a.ts": "one();\n", "b.ts": "two();\n" },
      runs: [
        { entry: "a.ts", output: "1" },
        { entry: "b.ts", output: "2" },
      ],
    },
    {
      title: "no command for a file that the README does not show",
      markdown: `\`node elsewhere.ts\`\n${fence('ts title="a.ts"', "one();")}`,
      files: { "a.ts": "one();\n" },
      runs: [{ entry: "a.ts", output: undefined }],
    },
  ])("finds $title", ({ markdown, files, runs }) => {
    const program = readmeProgram(markdown);
    expect(Object.fromEntries(program?.files ?? [])).toEqual(files);
    expect(program?.runs).toEqual(runs);
  });

  it("finds nothing where no fence has a name", () => {
    expect(readmeProgram(`Like this:\n\n${fence("ts", "one();")}${fence("sh", "node a.ts")}`)).toBeUndefined();
  });
});
