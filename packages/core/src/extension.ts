// For packages that extend a host, such as @cpg/registry: the rules of the protocol, and what a server of ours does.
export { withMethodTimeouts } from "./client/method-timeouts.ts";
export { createServiceClient } from "./client/service-client.ts";
export { toWireHealth } from "./control/plugin-control-service.ts";
export { isRuntimeId, RUNTIME_ID_RULE } from "./control/runtime-id.ts";
export { checkDeclarations, declaredServices } from "./handshake/request-checks.ts";
export { cuttableCall } from "./identity/cuttable-call.ts";
export { createToken, hashToken, matchesToken } from "./identity/runtime-token.ts";
export { createAddressList, isLoopbackAddress } from "./internal/address-list.ts";
export { type Alarm, createAlarm } from "./internal/alarm.ts";
export { within } from "./internal/bounded.ts";
export { callListener } from "./internal/call-listener.ts";
export { hideProperty } from "./internal/hide-property.ts";
export { followTlsUpdates } from "./internal/tls-updates.ts";
export { signalGroup } from "./launch/process/process-group.ts";
export { peerOf } from "./listener/connection-peer.ts";
export type { NodeHandler, NodeServerRequest, NodeServerResponse, StreamHandler } from "./listener/node-handler.ts";
export {
  DEFAULT_HOST_URL,
  DEFAULT_PORT,
  HEADER,
  REGISTRATION_METADATA,
  SERVER_METADATA,
} from "./protocol/constants.ts";
export {
  checkEndpointPath,
  checkFreeText,
  checkMetadata,
  checkMinVersion,
  checkName,
  checkVersion,
  FIELD_LIMITS,
} from "./protocol/field-rules.ts";
export { invalidField } from "./protocol/wire-error.ts";
export { onShutdownSignal } from "./server/shutdown-signals.ts";
export {
  type SupervisedProgram,
  type SuperviseLaunchesOptions,
  superviseLaunches,
} from "./supervision/supervise-launches.ts";
export { type EncodedError, encodeError } from "./wire/answer-error.ts";
export { ConnectionError, type ConnectionStage } from "./wire/call-error.ts";
export { secureContextOf } from "./wire/call-transport-options.ts";
export { endUnreadRequest } from "./wire/end-unread-request.ts";
export { createRpcHandler, type RpcHandlerOptions } from "./wire/rpc-handler.ts";
