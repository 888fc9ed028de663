import { checkName, invalidField } from "@cpg/core/extension";
import { resolveAttachOptions } from "../attach/attach-options.ts";
import { kindOf, type PlatformPlugin } from "./platform-plugin.ts";

/**
 * @param field names the specification in errors.
 * @throws {TypeError} {RangeError} {ConnectError} `invalid_argument`, naming the field and the rule.
 */
export function checkPlatformPlugin(field: string, plugin: PlatformPlugin): void {
  if (typeof plugin !== "object" || plugin === null) throw new TypeError(`${field} must be an object`);
  const { id, readyTimeoutMs = 10_000 } = plugin;
  if (typeof id !== "string") throw new TypeError(`${field}.id must be a string`);
  checkName(`${field}.id`, id);
  if (!(readyTimeoutMs > 0 && readyTimeoutMs < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`${field}.readyTimeoutMs must be a finite number greater than 0, got ${readyTimeoutMs}`);
  }
  const kinds = ["plugins", "foreign", "endpoint"] as const;
  const given = kinds.filter((kind) => plugin[kind] !== undefined);
  if (given.length !== 1) {
    throw new TypeError(
      `${field} must have exactly one of plugins, foreign and endpoint, has ${given.join(", ") || "none"}`,
    );
  }
  if (kindOf(plugin) !== "endpoint" && typeof plugin.strategy?.launch !== "function") {
    throw new TypeError(`${field}.strategy must be a launch strategy`);
  }
  checkServices(field, plugin);
}

function checkServices(field: string, plugin: PlatformPlugin): void {
  if (plugin.plugins !== undefined) {
    resolveAttachOptions({ requires: plugin.requires });
  } else if (plugin.foreign !== undefined) {
    const { selfId, registers, provides, requires } = plugin.foreign;
    if (registers !== "itself" && registers !== "host") {
      throw invalidField(`${field}.foreign.registers`, 'must be "itself" or "host"');
    }
    resolveAttachOptions({ selfId, provides, requires });
  } else {
    const { endpoint, attach, provides, requires } = plugin;
    if (!/^https?:\/\//.test(endpoint)) throw invalidField(`${field}.endpoint`, "must be an http or https URL");
    resolveAttachOptions({ ...attach, provides, requires });
  }
}
