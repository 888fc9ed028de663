import { setFlagsFromString } from "node:v8";

const typeScript = /\.[cm]?ts$/;
/** More calls than anybody makes. */
const budget = 1_000_000_000;

/**
 * Keeps V8 from compiling the calls out of WebAssembly anew, for threads that strip types with it. Threads share that code,
 * and V8 (12.4 to 13.6 at least) frees it when one of them tiers up while another ends: a segmentation fault, of the whole
 * process, in some of a hundred threads. Costs WebAssembly that calls JavaScript very often some time.
 */
export function spareTypeStripping(entry: string): void {
  if (typeScript.test(entry)) setFlagsFromString(`--wasm-wrapper-tiering-budget=${budget}`);
}
