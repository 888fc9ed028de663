// The counter as a program, for threads and processes.
import { serve } from "@cpg/core";
import { counterPlugin } from "../golden/ts/kinds/v1/kinds_cpg.ts";
import { counter } from "./counter.ts";

const server = await serve({ plugins: { counter: counterPlugin }, impls: { counter } });
await server.closed;
