import type { DescMethod } from "@bufbuild/protobuf";
import type { GeneratedFile, Printable, Target } from "@bufbuild/protoplugin";
import type { PluginModel } from "./plugin-model.ts";

/** All that generated code knows of core. */
const runtime = "@cpg/core/codegen-v1";

/** Prints what is generated for one service: the interface to implement, the plugin definition, the test double. */
export function printPlugin(f: GeneratedFile, target: Target, plugin: PluginModel): void {
  if (target !== "js") printContract(f, plugin);
  printDefinition(f, target, plugin);
  printMock(f, target, plugin);
}

function printContract(f: GeneratedFile, { service, names }: PluginModel): void {
  f.print(f.jsDoc(service));
  f.print(f.export("interface", names.contract), " {");
  service.methods.forEach((method, index) => {
    if (index > 0) f.print();
    f.print(f.jsDoc(method, "  "));
    const kind = f.import(methodTypes[method.methodKind], runtime, true);
    f.print(
      "  ",
      method.localName,
      ": ",
      kind,
      "<typeof ",
      messageOf(f, method, "input"),
      ", typeof ",
      messageOf(f, method, "output"),
      ">;",
    );
  });
  f.print("}");
  f.print();
}

const methodTypes: Readonly<Record<DescMethod["methodKind"], string>> = {
  unary: "UnaryMethod",
  server_streaming: "ServerStreamingMethod",
  client_streaming: "ClientStreamingMethod",
  bidi_streaming: "BidiStreamingMethod",
};

function messageOf(f: GeneratedFile, method: DescMethod, side: "input" | "output"): Printable {
  return f.importSchema(method[side], true);
}

function printDefinition(f: GeneratedFile, target: Target, plugin: PluginModel): void {
  const { service, names, name, version, provides, requires, timeoutsMs } = plugin;
  f.print(f.jsDoc(`The plugin "${name}": serves ${service.typeName}.${deprecation(plugin)}`));
  const type = (): Printable[] => [
    ": ",
    f.import("PluginDefinition", runtime, true),
    `<${JSON.stringify(name)}, typeof `,
    f.importSchema(service, target === "dts"),
    ">",
  ];
  if (target === "dts") {
    f.print(f.export("declare const", names.plugin), type(), ";");
    f.print();
    return;
  }
  f.print(f.export("const", names.plugin), target === "ts" ? type() : [], " = /*@__PURE__*/");
  f.print("  ", f.import("generatedPlugin", runtime), "(", f.importSchema(service), ", {");
  f.print("    name: ", f.string(name), ",");
  f.print("    version: ", f.string(version), ",");
  printList(f, "provides", provides);
  printList(f, "requires", requires);
  if (timeoutsMs.size > 0) {
    f.print("    timeoutsMs: {");
    for (const [method, timeoutMs] of timeoutsMs) f.print("      ", method, ": ", timeoutMs, ",");
    f.print("    },");
  }
  f.print("  });");
  f.print();
}

function printList(f: GeneratedFile, field: string, items: readonly object[]): void {
  if (items.length === 0) return;
  f.print("    ", field, ": [");
  for (const item of items) {
    const parts = Object.entries(item).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
    f.print("      { ", parts.join(", "), " },");
  }
  f.print("    ],");
}

function printMock(f: GeneratedFile, target: Target, plugin: PluginModel): void {
  const { service, names } = plugin;
  f.print(
    f.jsDoc(
      `A test double of ${names.contract}: the methods given, and for any other the answer \`unimplemented\` with its name.${deprecation(plugin)}`,
    ),
  );
  const methods = (): Printable[] => [f.import("MockMethods", runtime, true), `<${names.contract}>`];
  switch (target) {
    case "dts":
      f.print(f.export("declare function", names.mock), "(methods?: ", methods(), `): ${names.contract};`);
      break;
    case "js":
    case "ts":
      f.print(
        f.export("function", names.mock),
        target === "ts" ? ["(methods: ", methods(), ` = {}): ${names.contract}`] : "(methods = {})",
        " {",
      );
      f.print("  return ", f.import("mockService", runtime), "(", f.importSchema(service), ", methods);");
      f.print("}");
  }
  f.print();
}

function deprecation({ service }: PluginModel): string {
  return service.deprecated || service.file.deprecated ? "\n\n@deprecated" : "";
}
