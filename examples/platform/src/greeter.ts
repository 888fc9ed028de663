// A plugin, as the host launches it. GREETING: what it says.
import { capability, LoggerCapability } from "@cpg/broker";
import { serve } from "@cpg/core";
import { type Greeter, greeterPlugin } from "./gen/greeter/v1/greeter_cpg.ts";

const { GREETING: greeting = "hello" } = process.env;

const greeter: Greeter = {
  async greet({ name }) {
    await log.log({ level: "info", message: `greets ${name}` });
    return { text: `${greeting}, ${name}` };
  },
};
const { link } = await serve({ plugins: { greeter: greeterPlugin }, impls: { greeter } });
if (link === undefined) throw new Error("a program without extensions has a link");
const log = capability(link, LoggerCapability, { reason: "to tell whom it greets" });
