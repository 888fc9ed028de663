import type { Dependencies } from "./dependencies.ts";
import { commonFiles, generatedFile, type ProjectFiles, protoFile } from "./project-files.ts";
import type { ProjectNames } from "./project-name.ts";

/** A host: an application that others extend. It says what its plugins have to offer, and comes with one. */
export function hostProject(names: ProjectNames, dependencies: Dependencies): ProjectFiles {
  return {
    ...commonFiles(names, dependencies),
    "src/plugin.ts": plugin(names),
    "src/start-plugin.ts": startPlugin(names),
    "src/main.ts": main(names),
    "test/host.test.ts": test(names),
    "README.md": readme(names),
  };
}

function plugin(names: ProjectNames): string {
  const { plugin: name, definition } = names;
  return `// A plugin for this host, as a program of its own.
import { serve } from "@cpg/core";
import { ${definition} } from "./${generatedFile(names)}.ts";
import { greeter } from "./greeter.ts";

await serve({ plugins: { "${name}": ${definition} }, impls: { "${name}": greeter } });
`;
}

function startPlugin(names: ProjectNames): string {
  const { plugin: name, definition } = names;
  return `import { nodeStrategy, type SupervisedPlugin, supervisePlugin } from "@cpg/core";
import { ${definition} } from "./${generatedFile(names)}.ts";

const plugins: { readonly "${name}": typeof ${definition} } = { "${name}": ${definition} };

/** Runs a plugin in a process of its own, and starts it again when it crashes. @param entry its program. */
export async function startPlugin(entry: string | URL): Promise<SupervisedPlugin<typeof plugins>> {
  const plugin = supervisePlugin({
    strategy: nodeStrategy({ entry }),
    plugins,
    onLog: ({ line }) => console.error(\`[plugin] \${line}\`),
    onEvent(event) {
      if (event.type === "state" && event.error !== undefined) console.error(event.error.message);
    },
  });
  await plugin.whenRunning();
  return plugin;
}
`;
}

function main({ plugin: name }: ProjectNames): string {
  return `// The host: node src/main.ts [program of a plugin], by default the one that comes with it.
import { resolve } from "node:path";
import { startPlugin } from "./start-plugin.ts";

const [program] = process.argv.slice(2);
const plugin = await startPlugin(program === undefined ? new URL("./plugin.ts", import.meta.url) : resolve(program));
try {
  const client = await plugin.dispense("${name}");
  const { greeting } = await client.greet({ name: "world" });
  console.log(greeting);
} finally {
  await plugin.stop();
}
`;
}

function test({ plugin: name }: ProjectNames): string {
  return `import assert from "node:assert/strict";
import { it } from "node:test";
import { startPlugin } from "../src/start-plugin.ts";

it("calls its plugin", async () => {
  const plugin = await startPlugin(new URL("../src/plugin.ts", import.meta.url));
  try {
    const client = await plugin.dispense("${name}");
    assert.equal((await client.greet({ name: "Ada" })).greeting, "hello Ada");
  } finally {
    await plugin.stop();
  }
});

it("has its plugin back after a crash", async () => {
  const plugin = await startPlugin(new URL("../src/plugin.ts", import.meta.url));
  try {
    const { pid } = plugin.snapshot();
    const down = new Promise<void>((resolve) => {
      plugin.onStateChange(({ state }) => {
        if (state !== "running") resolve();
      });
    });
    process.kill(Number(pid), "SIGKILL");
    await down;
    await plugin.whenRunning();
    const client = await plugin.dispense("${name}");
    assert.equal((await client.greet({ name: "again" })).greeting, "hello again");
  } finally {
    await plugin.stop();
  }
});
`;
}

function readme(names: ProjectNames): string {
  const { project, contract } = names;
  return `# ${project}

A host: an application that plugins extend. Each plugin is a process of its own, so none can crash the host.

    npm install
    npm run build    # generates src/gen from the .proto, and checks the types
    npm test         # launches the plugin, calls it, kills it, calls it again
    npm start        # prints what the plugin answers

| file | what it is |
|---|---|
| [${protoFile(names)}](${protoFile(names)}) | what plugins of this host have to offer |
| [src/main.ts](src/main.ts) | the host |
| [src/start-plugin.ts](src/start-plugin.ts) | how it runs a plugin |
| [src/greeter.ts](src/greeter.ts), [src/plugin.ts](src/plugin.ts) | a plugin that comes with it: an implementation of \`${contract}\`, and its program |

\`npm start -- ../${names.plugin}-plugin/src/main.ts\` launches another program with the same interface, such as that of
\`npx @cpg/codegen init ${names.plugin}-plugin\`. Plugins in other languages need the .proto alone.
`;
}
