import type { Dependencies } from "./dependencies.ts";
import { commonFiles, generatedFile, type ProjectFiles, protoFile } from "./project-files.ts";
import type { ProjectNames } from "./project-name.ts";

/** A plugin: a program that any host can launch, or that joins one by itself. */
export function pluginProject(names: ProjectNames, dependencies: Dependencies): ProjectFiles {
  return {
    ...commonFiles(names, dependencies),
    "src/main.ts": main(names),
    "test/greeter.test.ts": test(names),
    "README.md": readme(names),
  };
}

function main(names: ProjectNames): string {
  const { plugin, definition } = names;
  return `// The plugin as a program. On its own it listens on PORT (default 8080); launched by a host, on what the host says. With
// HOST_URL it joins that host.
import { serve } from "@cpg/core";
import { ${definition} } from "./${generatedFile(names)}.ts";
import { greeter } from "./greeter.ts";

const server = await serve({ plugins: { "${plugin}": ${definition} }, impls: { "${plugin}": greeter } });
console.error(\`${plugin} listens on \${server.endpoint}\`);
`;
}

function test(names: ProjectNames): string {
  const { plugin, definition } = names;
  return `import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { type LaunchedPlugin, launchPlugin, nodeStrategy } from "@cpg/core";
import { ${definition} } from "../src/${generatedFile(names)}.ts";

const plugins = { "${plugin}": ${definition} };
let launched: LaunchedPlugin<typeof plugins>;

// As a host does it: in a process of its own.
before(async () => {
  const entry = new URL("../src/main.ts", import.meta.url);
  launched = await launchPlugin({ strategy: nodeStrategy({ entry }), plugins });
});
after(() => launched.stop());

it("greets", async () => {
  const client = await launched.dispense("${plugin}");
  assert.equal((await client.greet({ name: "Ada" })).greeting, "hello Ada");
});

it("greets as often as it is asked to", async () => {
  const client = await launched.dispense("${plugin}");
  const greetings: string[] = [];
  for await (const { greeting } of client.greetOften({ name: "Ada", times: 3 })) greetings.push(greeting);
  assert.deepEqual(greetings, ["hello Ada", "hello Ada", "hello Ada"]);
});

it("says what is wrong with a request", async () => {
  const client = await launched.dispense("${plugin}");
  await assert.rejects(client.greet({ name: "" }), (reason) => {
    assert.equal(ConnectError.from(reason).code, Code.InvalidArgument);
    return true;
  });
});
`;
}

function readme(names: ProjectNames): string {
  const { project, plugin, contract } = names;
  return `# ${project}

A plugin: a program that hosts launch, or reach where it runs, and call through one typed interface.

    npm install
    npm run build    # generates src/gen from the .proto, and checks the types
    npm test         # launches the plugin, and calls it
    npm start        # listens on PORT, 8080 by default; with HOST_URL it joins that host

| file | what it is |
|---|---|
| [${protoFile(names)}](${protoFile(names)}) | what the plugin offers: the calls, the messages, its name and version |
| [src/greeter.ts](src/greeter.ts) | the implementation of \`${contract}\`; what the .proto says, the compiler demands |
| [src/main.ts](src/main.ts) | the program |
| [test/greeter.test.ts](test/greeter.test.ts) | the plugin, launched and called |

Its name towards hosts is \`${plugin}\`. To change what it offers: change the .proto, run \`npm run build\`, and mend what the compiler
names.
`;
}
