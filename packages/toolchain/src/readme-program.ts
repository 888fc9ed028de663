/** A program that a README shows, ready to be run as shown. */
export interface ReadmeProgram {
  /** File name and content of every file the README names. */
  readonly files: ReadonlyMap<string, string>;
  /** In the order in which the README gives the commands. */
  readonly runs: readonly ReadmeRun[];
}

export interface ReadmeRun {
  /** The file that `node` is given. */
  readonly entry: string;
  /** What it prints, if the README says so; without the white space at the end. */
  readonly output: string | undefined;
}

interface Fence {
  readonly language: string;
  readonly title: string | undefined;
  readonly code: string;
  /** Text between the fence before this one and this one. */
  readonly before: string;
}

const fencePattern = /^```(\w*)[ \t]*([^\n]*)\n([\s\S]*?)^```[ \t]*$/gm;

/**
 * Finds the program in a README. Conventions, all of them visible to a reader:
 *
 * - a `ts` fence is a file if it has a name: `title="plugin.ts"` after `ts`, or else the last `` `name.ts` `` in the
 *   sentence with a colon that leads to it. A fence without a name is an illustration and is not run;
 * - `` `node name.ts` `` in the text is a run of that file. Without one, the last file is run;
 * - `` `node name.ts` prints `something` ``, or a `text` fence that follows, is what it prints on stdout.
 *
 * Returns undefined if no fence has a name.
 */
export function readmeProgram(markdown: string): ReadmeProgram | undefined {
  const { fences, rest } = splitFences(markdown);
  const files = new Map<string, string>();
  for (const fence of fences) {
    const name = fence.language === "ts" ? (fence.title ?? namedBefore(fence.before)) : undefined;
    if (name !== undefined && !files.has(name)) files.set(name, fence.code);
  }
  const runs = [...fences.map(({ before }) => before), rest].flatMap((text, index) =>
    runsIn(text, fences[index]).filter(({ entry }) => files.has(entry)),
  );
  const last = [...files.keys()].at(-1);
  if (last === undefined) return undefined;
  return { files, runs: runs.length > 0 ? runs : [{ entry: last, output: undefined }] };
}

function splitFences(markdown: string): { fences: Fence[]; rest: string } {
  const fences: Fence[] = [];
  let end = 0;
  for (const match of markdown.matchAll(fencePattern)) {
    const [whole, language = "", info = "", code = ""] = match;
    const title = /title="([^"]+)"/.exec(info)?.[1];
    fences.push({ language, title, code, before: markdown.slice(end, match.index) });
    end = match.index + whole.length;
  }
  return { fences, rest: markdown.slice(end) };
}

function namedBefore(text: string): string | undefined {
  const sentence = /[^\n]*:\s*$/.exec(text)?.[0] ?? "";
  return [...sentence.matchAll(/`([\w-]+\.ts)`/g)].at(-1)?.[1];
}

function runsIn(text: string, next: Fence | undefined): ReadmeRun[] {
  const commands = [...text.matchAll(/`node ([\w-]+\.ts)`(?:\s+prints\s+`([^`]+)`)?/g)];
  return commands.map(([, entry = "", inline], index) => {
    const followedByOutput = index === commands.length - 1 && next?.language === "text";
    return { entry, output: inline ?? (followedByOutput ? next.code.trimEnd() : undefined) };
  });
}
