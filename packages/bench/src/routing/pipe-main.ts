// The floor: passes bytes between sockets and looks at none: pipe-main.ts HOST:PORT
import { connect, createServer } from "node:net";
import { listenLocally } from "../launch/listen-locally.ts";
import { tellAddress } from "../launch/tell-address.ts";

const [, , to = ""] = process.argv;
const [host, port] = to.split(":");
const server = createServer({ noDelay: true }, (near) => {
  const far = connect({ host, port: Number(port), noDelay: true });
  near.on("error", () => far.destroy());
  far.on("error", () => near.destroy());
  near.on("close", () => far.destroy());
  far.on("close", () => near.destroy());
  near.pipe(far);
  far.pipe(near);
});
tellAddress(await listenLocally(server, "tcp"), () => void server.close());
