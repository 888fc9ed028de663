import type { UnsentCause } from "../forward/forwarder.ts";

/** Why nothing could be sent to a provider. Stays in this process: it may tell addresses. */
export class UnsentError extends Error {
  override readonly name = "UnsentError";
  readonly unsent: UnsentCause;

  constructor(unsent: UnsentCause, message: string, reason?: unknown) {
    super(message, reason === undefined ? undefined : { cause: reason });
    this.unsent = unsent;
  }
}

/** The error of a failed connection, told by what Node or the system says of it. */
export function unsentError(stage: "connect" | "tls" | "http", where: string, reason: unknown): UnsentError {
  if (reason instanceof UnsentError) return reason;
  const message = `no connection to ${where}: ${reason instanceof Error ? reason.message : String(reason)}`;
  const code = codeOf(reason);
  // In TLS 1.3 the server looks at the client's certificate when the client already takes the connection for made.
  if (stage === "tls" || code?.startsWith("ERR_SSL_")) return new UnsentError("tls", message, reason);
  return new UnsentError(stage === "http" ? "protocol" : causeOf(code), message, reason);
}

/** How a connection was lost that had been made. */
export function connectionLoss(error: Error | undefined): "connection" | "silence" {
  const cause = causeOf(codeOf(error));
  return cause === "timeout" || cause === "unreachable" ? "silence" : "connection";
}

function causeOf(code: string | undefined): UnsentCause {
  switch (code) {
    case "ETIMEDOUT":
      return "timeout";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EHOSTDOWN":
    case "ENETDOWN":
    case "EADDRNOTAVAIL":
    case "EACCES":
    case "EPERM":
      return "unreachable";
    // Here, not there, there is no room for one more.
    case "EMFILE":
    case "ENFILE":
    case "ENOBUFS":
    case "EAGAIN":
      return "busy";
    default:
      return "refused";
  }
}

function codeOf(reason: unknown): string | undefined {
  return reason instanceof Error && "code" in reason && typeof reason.code === "string" ? reason.code : undefined;
}
