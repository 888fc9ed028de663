// The echo service as a plugin, launched by the variants "process, ...".
import { serve } from "@cpg/core";
import { echo, echoService } from "./echo-service.ts";

await serve({ plugins: { echo }, impls: { echo: echoService } });
