import { Code, ConnectError } from "@connectrpc/connect";
import { capabilityGrantKey, defineCapability } from "@cpg/broker";
import { Secrets } from "./capabilities.ts";

/** Secrets by the name of the plugin that may read them, then by their own. */
export type SecretsOfPlugins = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Lends each plugin the secrets that were set aside for it. */
export function lentSecrets(secrets: SecretsOfPlugins) {
  const byPlugin = new Map(Object.entries(secrets).map(([plugin, own]) => [plugin, new Map(Object.entries(own))]));
  return defineCapability(
    Secrets.service,
    {
      getSecret({ name }, { values }) {
        const grant = values.get(capabilityGrantKey);
        const value = grant && byPlugin.get(grant.holder.selfId)?.get(name);
        // One answer for "not yours" and "not there".
        if (value === undefined) throw new ConnectError("there is no such secret for this plugin", Code.NotFound);
        return { value };
      },
    },
    Secrets,
  );
}
