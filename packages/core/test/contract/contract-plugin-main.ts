import { serve } from "@cpg/core";
import { createContractServer } from "./contract-plugin.ts";

await serve(createContractServer());
