// fast-check as tests get it: with the seed that vitest.config.ts chose, so that a commit that passed here passes elsewhere.
import { env } from "node:process";
import fc from "../node_modules/fast-check/lib/fast-check.js";

const { FC_SEED: seed } = env;
if (seed !== undefined) fc.configureGlobal({ seed: Number(seed) });

export default fc;
