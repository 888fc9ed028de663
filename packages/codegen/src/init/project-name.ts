import { type GeneratedNames, preferredNames } from "../generated-names.ts";

/** The names that follow from the name of a project. */
export interface ProjectNames extends Omit<GeneratedNames, "plugin"> {
  /** As given: of the folder and the npm package. */
  readonly project: string;
  /** Of the plugin: without "-plugin" at the end. */
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

const maxLength = 64;
const pattern = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;

/** @throws {UsageError} naming the rule. */
export function projectNames(project: string): ProjectNames {
  if (!pattern.test(project)) {
    const rule = "must have lower-case letters, digits and single dashes, and begin with a letter";
    throw new UsageError(`the name ${rule}, got ${JSON.stringify(project)}`);
  }
  if (project.length > maxLength) {
    throw new UsageError(`the name must have at most ${maxLength} characters, has ${project.length}`);
  }
  const plugin = project.replace(/-plugin$/, "");
  const words = plugin.split("-").map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  const service = `${words.join("")}Service`;
  const { contract, plugin: definition, mock } = preferredNames(service);
  return { project, plugin, protoPackage: plugin.replaceAll("-", "_"), service, contract, definition, mock };
}
