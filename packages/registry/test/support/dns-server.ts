import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Answer, decode, encode, type Packet, streamEncode } from "dns-packet";

/** What a question gets: records; a failure; or nothing at all. */
export type DnsAnswer = readonly Answer[] | "SERVFAIL" | "NXDOMAIN" | "silence";

/** An answer over UDP that is longer is cut, and asked for again over TCP. */
const maxUdpBytes = 512;
const truncated = 0x0200;
const authoritative = 0x0400;
const responseCodes = { SERVFAIL: 2, NXDOMAIN: 3 } as const;

/** An authoritative DNS server on loopback, over UDP and TCP. What its zone does not name does not exist. */
export async function startDnsServer() {
  /** By "TYPE name". */
  const zone = new Map<string, DnsAnswer>();
  /** "TYPE name" of each question, in order. */
  const asked: string[] = [];
  let look = () => {};

  const answerTo = (question: Packet): Packet | undefined => {
    const [first] = question.questions ?? [];
    const key = `${first?.type} ${first?.name.toLowerCase()}`;
    asked.push(key);
    look();
    const answer = zone.get(key) ?? (exists(first?.name) ? [] : "NXDOMAIN");
    if (answer === "silence") return undefined;
    const flags = authoritative | (typeof answer === "string" ? responseCodes[answer] : 0);
    const answers = typeof answer === "string" ? [] : [...answer];
    return { type: "response", id: question.id, flags, questions: question.questions, answers };
  };
  const exists = (name = ""): boolean => [...zone.keys()].some((key) => key.endsWith(` ${name.toLowerCase()}`));

  const udp = createSocket("udp4");
  udp.on("error", () => {}); // of a port that is taken; whoever binds hears of it
  udp.on("message", (message, { port, address }) => {
    const answer = answerTo(decode(message));
    if (answer === undefined) return;
    const whole = encode(answer);
    const cut = () => encode({ ...answer, flags: (answer.flags ?? 0) | truncated, answers: [] });
    udp.send(whole.length > maxUdpBytes ? cut() : whole, port, address);
  });

  const sockets = new Set<Socket>();
  const tcp = createServer((socket) => {
    sockets.add(socket);
    let received = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        const answer = answerTo(decode(received.subarray(2, end)));
        received = received.subarray(end);
        if (answer !== undefined) socket.write(streamEncode(answer));
      }
    });
  });
  const port = await listenOnBoth(tcp, udp);

  return {
    zone,
    asked,
    servers: [`127.0.0.1:${port}`],
    /** Resolves when a question has been asked `count` times, since the beginning. */
    whenAsked: (key: string, count = 1): Promise<void> =>
      new Promise((resolve) => {
        look = () => {
          if (asked.filter((one) => one === key).length >= count) resolve();
        };
        look();
      }),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      tcp.close();
      udp.close();
      await Promise.all([once(tcp, "close"), once(udp, "close")]);
    },
  };
}

/** The port. One that is free for TCP need not be so for UDP: then it takes another one. */
async function listenOnBoth(tcp: Server, udp: UdpSocket): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    tcp.listen(0, "127.0.0.1");
    await once(tcp, "listening");
    const { port } = tcp.address() as AddressInfo;
    udp.bind(port, "127.0.0.1");
    try {
      await once(udp, "listening");
      return port;
    } catch (reason) {
      if (attempt === 10) throw reason;
      tcp.close();
      await once(tcp, "close");
    }
  }
}

export function a(name: string, address: string, ttl = 60): Answer {
  return { type: "A", name, ttl, data: address };
}

export function aaaa(name: string, address: string, ttl = 60): Answer {
  return { type: "AAAA", name, ttl, data: address };
}

export function srv(name: string, target: string, port: number, priority = 0, weight = 0): Answer {
  return { type: "SRV", name, ttl: 60, data: { target, port, priority, weight } };
}
