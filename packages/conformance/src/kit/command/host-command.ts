import { checkHost } from "../host/check-host.ts";
import { hostRules } from "../host/host-rules.ts";
import { BadChoice } from "../rule/bad-choice.ts";
import type { Command } from "./run-command.ts";

const usage = `Checks a running host against PROTOCOL.md, as plugins that come, register, call each other and go.

  --endpoint URL       where the host listens, http:// or https://
  --ca FILE            PEM of the authority of an https endpoint
  --listen-host HOST   where the kit's own plugins listen (127.0.0.1)
  --public-host HOST   how the host reaches them (the same)
  --strict             demand also what only hosts of ours do
  --rule ID            a rule, or a group of them; may be given several times
  --timeout SECONDS    bound on each rule (10)
  --json               results as JSON
  --list               show the rules, and where PROTOCOL.md says so
  --help               show this
Exit code: 0 no rule failed, 1 one did, 2 called wrongly.`;

export const hostCommand: Command<Record<never, never>> = {
  usage,
  flags: {},
  rules: hostRules,
  run({ endpoint, listenHost, publicHost, ...choices }, _own, onResult) {
    if (endpoint === undefined) throw new BadChoice("endpoint", "is required");
    return checkHost({ ...choices, endpoint, place: { listenHost, publicHost }, onResult });
  },
};
