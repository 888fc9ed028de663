import { serve } from "@cpg/core";
import { createEcho } from "../support/echo-service.ts";
import { echo } from "../support/started-server.ts";

await serve({ plugins: { echo }, impls: { echo: createEcho() } });
