import { callCases } from "./calls.ts";
import { cancellationCases } from "./cancellation.ts";
import { deadlineCases } from "./deadlines.ts";
import { errorCases } from "./errors.ts";
import { interceptorCases } from "./interceptors.ts";
import { limitCases } from "./limits.ts";
import { messageCases } from "./messages.ts";
import { metadataCases } from "./metadata.ts";
import { platformCases } from "./platform.ts";
import { streamCases } from "./streams.ts";
import type { ContractCase } from "./subject.ts";

/** What every carrier has to do alike. */
export const contract: readonly { readonly topic: string; readonly cases: readonly ContractCase[] }[] = [
  { topic: "calls", cases: callCases },
  { topic: "messages", cases: messageCases },
  { topic: "streams", cases: streamCases },
  { topic: "errors", cases: errorCases },
  { topic: "deadlines", cases: deadlineCases },
  { topic: "cancellation", cases: cancellationCases },
  { topic: "metadata", cases: metadataCases },
  { topic: "interceptors", cases: interceptorCases },
  { topic: "limits", cases: limitCases },
  { topic: "platform", cases: platformCases },
];
