/** What calls to another process travel over. */
export interface Carriage {
  readonly socket: "unix" | "tcp";
  readonly httpVersion: "1.1" | "2";
}

export const carriages: readonly Carriage[] = [
  { socket: "unix", httpVersion: "1.1" },
  { socket: "unix", httpVersion: "2" },
  { socket: "tcp", httpVersion: "1.1" },
  { socket: "tcp", httpVersion: "2" },
];

export function describeCarriage({ socket, httpVersion }: Carriage): string {
  return `${socket === "unix" ? "Unix socket" : "TCP"}, HTTP/${httpVersion}`;
}
