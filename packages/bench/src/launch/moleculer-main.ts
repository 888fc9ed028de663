// The echo action on a Moleculer broker that is reached over TCP.
import { addEchoAction, createTcpBroker, startOnLoopback } from "./moleculer-broker.ts";
import { tellAddress } from "./tell-address.ts";

const { broker, transporter } = createTcpBroker();
addEchoAction(broker);
await startOnLoopback(broker);
tellAddress(String(transporter.opts.port), () => broker.stop());
