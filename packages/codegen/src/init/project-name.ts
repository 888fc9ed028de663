import { brokenPathRule } from "../field-rules.ts";
import { type GeneratedNames, preferredNames } from "../generated-names.ts";

/** What a project is for. */
export type ProjectKind = "plugin" | "host";

/** The names that follow from the name of a project. */
export interface ProjectNames extends Omit<GeneratedNames, "plugin"> {
  /** As given: of the folder and the npm package. */
  readonly project: string;
  /** Of the plugin, without "-plugin" or "-host" at the end: so my-host can launch my-plugin. */
  readonly plugin: string;
  /** Of the proto package and its folder, without the version. */
  readonly protoPackage: string;
  readonly service: string;
  /** Of the generated definition. */
  readonly definition: string;
}

/** Something is wrong with how the command was called. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** With these, the plugin's name (128 bytes) and the path of its service (256) keep to the protocol; npm allows 214. */
const maxLength = 64;
const pattern = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;

/** What the code of a project imports or defines where it imports what is generated, too. */
const takenNames = new Set(["Code", "ConnectError", "launchPlugin", "startPlugin", "supervisePlugin"]);

/** @throws {UsageError} naming the rule. */
export function projectNames(project: string, kind: ProjectKind): ProjectNames {
  if (!pattern.test(project)) {
    const rule = "must have lower-case letters, digits and single dashes, and begin with a letter";
    throw new UsageError(`the name ${rule}, got ${JSON.stringify(project)}`);
  }
  if (project.length > maxLength) {
    throw new UsageError(`the name must have at most ${maxLength} characters, has ${project.length}`);
  }
  const plugin = project.replace(kind === "host" ? /-host$/ : /-plugin$/, "");
  const protoPackage = plugin.replaceAll("-", "_");
  const words = plugin.split("-").map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  const service = `${words.join("")}Service`;
  const { contract, plugin: definition, mock } = preferredNames(service);
  const path = `/${protoPackage}.v1.${service}/`;
  const broken = brokenPathRule(path);
  if (broken !== undefined) {
    throw new UsageError(`the name must not be ${JSON.stringify(project)}: the service's path, ${path}, ${broken}`);
  }
  const taken = [contract, definition].find((name) => takenNames.has(name));
  if (taken !== undefined) {
    throw new UsageError(`the name must not be ${JSON.stringify(project)}: the project's code has a ${taken} already`);
  }
  return { project, plugin, protoPackage, service, contract, definition, mock };
}
