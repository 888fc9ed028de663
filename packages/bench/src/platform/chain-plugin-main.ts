// One link of a chain of plugins: provides a type, and needs that of the link before. Run by the table "platform".
import { definePlugin, serve } from "@cpg/core";
import { EchoService } from "../gen/bench/v1/echo_pb.ts";
import { echoService } from "../launch/echo-service.ts";
import { linkDefinition } from "./chain.ts";

const place = Number(process.env.CHAIN_PLACE);
const { name, provides, requires } = linkDefinition(place);
await serve({
  plugins: { [name]: definePlugin({ name, version: "1.0.0", service: EchoService, provides, requires }) },
  impls: { [name]: echoService },
});
