export { FakeClock } from "./fake-clock.ts";
export { faults } from "./fault-interceptor.ts";
export type { FaultOptions } from "./fault-options.ts";
export type { Fault, FaultPlan } from "./fault-plan.ts";
export { seededRandom } from "./seeded-random.ts";
