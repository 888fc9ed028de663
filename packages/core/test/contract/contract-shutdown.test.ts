import { describe, it } from "vitest";
import { carriers } from "./carriers.ts";
import { lifeCases } from "./shutdown.ts";
import { titled } from "./titled.ts";

const some = carriers.filter(({ onlyCalls = false }) => !onlyCalls);

// At a time: most of it is waiting for plugins to start and to end.
describe.concurrent.each(titled(some))("%s", (_, carrier) => {
  it.each(titled(lifeCases))("%s", (_title, { run }) => run(carrier));
});
