import { createClient } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { createLaunchChallenge, isLaunchProof } from "../../../control/launch-proof.ts";
import { PluginIdentity } from "../../../gen/connectplugin/v1/plugin_pb.ts";
import { HEADER } from "../../../protocol/constants.ts";
import { openControlTransport } from "../../control-transport.ts";

export interface ProofRequest {
  readonly endpoint: string;
  readonly controlToken: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A plugin that is well answers at once. */
const timeoutMs = 5_000;

/**
 * Whether who listens there knows the control token. The token itself is not sent. False when nobody answers.
 * @throws the reason of `signal`.
 */
export async function provesLaunched({ endpoint, controlToken, clock, signal }: ProofRequest): Promise<boolean> {
  const challenge = createLaunchChallenge();
  const calls = openControlTransport({ endpoint, controlToken, clock });
  let proof = "";
  try {
    await createClient(PluginIdentity, calls.transport).getPluginInfo(
      {},
      {
        timeoutMs,
        signal,
        headers: { [HEADER.launchChallenge]: challenge },
        onHeader(header) {
          proof = header.get(HEADER.launchProof) ?? "";
        },
      },
    );
  } catch {
    signal.throwIfAborted();
    return false;
  } finally {
    await calls.close();
  }
  return isLaunchProof(controlToken, challenge, proof);
}
