import { checkJoiningPlugin, checkPlugin, joiningRules, pluginRules } from "../plugin/check-plugin.ts";
import { BadChoice } from "../rule/bad-choice.ts";
import type { Command } from "./run-command.ts";

const usage = `Checks a running plugin against PROTOCOL.md.

As the host that manages it:
  --endpoint URL       where the plugin listens, http:// or https://
  --ca FILE            PEM of the authority of an https endpoint
  --control-token TEXT what proves a host to the plugin
  --shutdown           end the plugin, as the last thing
As the host that it joins by itself:
  --join               print a HOST_URL, and wait for the plugin to come
  --join-port PORT     where that host listens (any free port)
Both:
  --listen-host HOST   where the kit's own host listens (127.0.0.1)
  --public-host HOST   how the plugin reaches it (the same)
  --strict             demand also what only plugins of ours do
  --rule ID            a rule, or a group of them; may be given several times
  --timeout SECONDS    bound on each rule (10), and so on the wait for the plugin (60)
  --json               results as JSON
  --list               show the rules, and where PROTOCOL.md says so
  --help               show this
Exit code: 0 no rule failed, 1 one did, 2 called wrongly.`;

const flags = {
  "control-token": { type: "string" },
  shutdown: { type: "boolean" },
  join: { type: "boolean" },
  "join-port": { type: "string" },
} as const;

export const pluginCommand: Command<typeof flags> = {
  usage,
  flags,
  rules: [...pluginRules, ...joiningRules],
  run({ endpoint, ca, listenHost, publicHost, ...choices }, own, onResult) {
    const place = { listenHost, publicHost, port: readPort(own["join-port"]) };
    const { join, shutdown, "control-token": token } = own;
    const joins = join === true;
    if (joins === (endpoint !== undefined)) throw new BadChoice("endpoint", "or --join is needed, and not both");
    if (endpoint === undefined) {
      const onReady = (url: string): void => console.error(`start the plugin with HOST_URL=${url}`);
      return checkJoiningPlugin({ ...choices, place, onReady, onResult });
    }
    const controlToken = typeof token === "string" ? token : undefined;
    return checkPlugin({ ...choices, endpoint, ca, place, controlToken, shutdown: shutdown === true, onResult });
  },
};

function readPort(text: string | boolean | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,5}$/.test(String(text)) || Number(text) > 65_535) {
    throw new BadChoice("join-port", `must be a port, 0 to 65535, not ${JSON.stringify(text)}`);
  }
  return Number(text);
}
