import type { Transport } from "@connectrpc/connect";
import type { AssignedIdentity } from "../control/plugin-identity-service.ts";

export interface HostLink extends AsyncDisposable {
  readonly transport: Transport;
  setIdentity(identity: AssignedIdentity): void;
  start(): void;
  withdraw(): Promise<void>;
  close(): Promise<void>;
}
export function createHostLink(_options: unknown): HostLink | undefined {
  return undefined;
}
