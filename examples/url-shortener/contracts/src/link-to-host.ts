import type { LinkOptions } from "@cpg/core";

/** A link to the host that says when it is up, when it is not, and why: it tries again without end, and nobody else would tell. */
export function linkToHost(name: string, hostUrl?: string): LinkOptions {
  let last = "";
  const say = (line: string): void => {
    if (line !== last) console.log(`${name} ${line}`); // each attempt may fail in the same way
    last = line;
  };
  return {
    hostUrl,
    onEvent(event) {
      if (event.type === "registration-refused") {
        say(`is refused by the host as ${event.service}: ${event.error.rawMessage}`);
      } else if (event.type === "state" && event.state === "linked") {
        say("has joined the host");
      } else if (event.type === "state" && event.state === "backoff") {
        say(`has no host and tries again: ${event.error?.rawMessage ?? "it is gone"}`);
      }
    },
  };
}
