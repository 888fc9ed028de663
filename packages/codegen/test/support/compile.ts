import { fileURLToPath } from "node:url";
import ts from "typescript-5";

/** The strictest settings; generated files have to pass all of them. */
export const strictest = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  isolatedDeclarations: true,
  erasableSyntaxOnly: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  noImplicitOverride: true,
  noPropertyAccessFromIndexSignature: true,
  allowImportingTsExtensions: true,
  declaration: true,
  noEmit: true,
  skipLibCheck: false,
} as const;

/** One thing that the compiler says: file, line counted from 1, TS code and text. */
export interface Complaint {
  readonly file: string;
  readonly line: number;
  readonly code: number;
  readonly text: string;
}

export interface CompileOptions {
  /** Compiles as for a bundler. Default: for Node. */
  readonly bundling?: boolean;
  /** Files to look at; the others are read for what these need of them. Default: all. */
  readonly look?: (path: string) => boolean;
}

/** Where the files lie for the compiler: imports of packages resolve as from a file of the tests. */
const root = fileURLToPath(new URL("../virtual/", import.meta.url));

const options: ts.CompilerOptions = {
  ...strictest,
  target: ts.ScriptTarget.ES2023,
  lib: ["lib.es2024.d.ts", "lib.esnext.disposable.d.ts"],
  types: ["node"],
  module: ts.ModuleKind.NodeNext,
};

const bundler = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };

const parsed = new Map<string, ts.SourceFile | undefined>();
const disk = ts.createCompilerHost(options);

/**
 * Compiles files that exist in memory alone, by path, with TypeScript 5, for Node or for a bundler. What it says of other
 * files is left out.
 */
export function compile(
  files: ReadonlyMap<string, string>,
  { bundling = false, look = () => true }: CompileOptions = {},
): Complaint[] {
  const inMemory = new Map([...files].map(([path, text]) => [root + path, text]));
  const directories = new Set([...inMemory.keys()].flatMap(parentsOf));
  const settings = bundling ? { ...options, ...bundler } : options;
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (path) => inMemory.has(path) || disk.fileExists(path),
    readFile: (path) => inMemory.get(path) ?? disk.readFile(path),
    directoryExists: (path) => directories.has(path) || (disk.directoryExists?.(path) ?? true),
    getSourceFile(path, language) {
      const text = inMemory.get(path);
      if (text !== undefined) return ts.createSourceFile(path, text, language);
      if (!parsed.has(path)) parsed.set(path, disk.getSourceFile(path, language));
      return parsed.get(path);
    },
  };
  const program = ts.createProgram(
    [...inMemory.keys()].filter((path) => /\.[cm]?ts$/.test(path)),
    settings,
    host,
  );
  const diagnostics = [
    ...program.getOptionsDiagnostics(),
    ...program.getSourceFiles().flatMap((file) =>
      inMemory.has(file.fileName) && look(file.fileName)
        ? [
            ...program.getSyntacticDiagnostics(file),
            ...program.getSemanticDiagnostics(file),
            ...program.getDeclarationDiagnostics(file), // those of isolatedDeclarations among them
          ]
        : [],
    ),
  ];
  return diagnostics.map(({ file, start, code, messageText }) => ({
    file: file?.fileName.slice(root.length) ?? "",
    line: file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line + 1,
    code,
    text: ts.flattenDiagnosticMessageText(messageText, "\n"),
  }));
}

function parentsOf(path: string): string[] {
  const end = path.lastIndexOf("/");
  return end <= 0 ? [] : [path.slice(0, end), ...parentsOf(path.slice(0, end))];
}
