import { type BoundAddress, formatEndpoint } from "./listen-address.ts";

/** Why a server cannot listen on a port, with Node's code and what to do about it. */
export function listenFailure(wanted: BoundAddress, reason: unknown): unknown {
  const code = reason instanceof Error && "code" in reason ? reason.code : undefined;
  if (code !== "EADDRINUSE" && code !== "EACCES") return reason;
  const what = code === "EADDRINUSE" ? "another program listens there" : "this user may not use that port";
  const advice = "choose a port with listen: { port } or the variable PORT; 0 is any free one";
  const message = `cannot listen on ${formatEndpoint(wanted)} (${code}): ${what}; ${advice}`;
  return Object.assign(new Error(message, { cause: reason }), { code });
}
