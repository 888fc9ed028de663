import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** A directory in which something is looked for. */
export interface WatchRoot {
  readonly path: string;
  /** Below it, too. */
  readonly isDeep: boolean;
}

export interface FilePatterns {
  readonly roots: readonly WatchRoot[];
  /** Whether an absolute path is one of those that are meant. */
  matches(path: string): boolean;
}

/**
 * What is meant by files, directories (everything below them) and patterns, in which `*` and `?` stand for characters but
 * "/", and the part `**` for any directories, also none.
 * @throws {TypeError} naming the entry and the rule.
 */
export function filePatterns(files: readonly string[], cwd: string): FilePatterns {
  if (!Array.isArray(files) || files.length === 0)
    throw new TypeError("files must name at least one file or directory");
  const parts = files.map((file, index) => patternOf(`files[${index}]`, file, cwd));
  return {
    roots: parts.map(({ root }) => root),
    matches: (path) => parts.some((part) => part.matches(path)),
  };
}

interface Pattern {
  readonly root: WatchRoot;
  matches(path: string): boolean;
}

function patternOf(field: string, file: string, cwd: string): Pattern {
  if (typeof file !== "string" || file === "" || file.includes("\0")) throw new TypeError(`${field} must be a path`);
  const segments = file.split("/");
  const wild = segments.findIndex((segment) => /[*?]/.test(segment));
  if (wild === -1) return plainPattern(field, resolve(cwd, file));
  if (/[{}]/.test(file)) throw new TypeError(`${field} must not have braces: name a pattern for each choice`);
  const rest = segments.slice(wild);
  const path = resolve(cwd, segments.slice(0, wild).join("/") || (file.startsWith("/") ? "/" : "."));
  if (kindAt(path) !== "directory") throw new TypeError(`${field} must begin with a directory: there is no ${path}`);
  const expression = new RegExp(`^${escapeText(withSeparator(path))}${globExpression(rest)}$`);
  return { root: { path, isDeep: rest.length > 1 }, matches: (other) => expression.test(other) };
}

function plainPattern(field: string, path: string): Pattern {
  const kind = kindAt(path);
  if (kind === undefined) throw new TypeError(`${field} must be there: there is no ${path}`);
  if (kind === "file") {
    return { root: { path: dirname(path), isDeep: false }, matches: (other) => other === path };
  }
  const below = withSeparator(path);
  return { root: { path, isDeep: true }, matches: (other) => other === path || other.startsWith(below) };
}

function globExpression(segments: readonly string[]): string {
  return segments
    .map((segment, index) => {
      const isLast = index === segments.length - 1;
      if (segment === "**") return isLast ? ".*" : "(?:[^/]+/)*";
      const text = segment
        .split(/([*?])/)
        .map((part) => (part === "*" ? "[^/]*" : part === "?" ? "[^/]" : escapeText(part)));
      return `${text.join("")}${isLast ? "" : "/"}`;
    })
    .join("");
}

/** What a directory holds that nobody writes by hand, by its name. */
export function isIgnored(name: string): boolean {
  return name.startsWith(".") || name === "node_modules";
}

function kindAt(path: string): "file" | "directory" | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  return stats.isDirectory() ? "directory" : "file";
}

function withSeparator(path: string): string {
  return path.endsWith("/") ? path : `${path}/`;
}

function escapeText(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
