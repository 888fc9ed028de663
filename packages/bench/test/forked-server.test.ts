import { describe, expect, it } from "vitest";
import { forkServer } from "../src/launch/forked-server.ts";

const program = new URL("./fixtures/server-main.ts", import.meta.url);

describe("forkServer", () => {
  it("resolves with the address, and leaves no process after close, however often that is called", async () => {
    const server = await forkServer(program, []);
    const pid = Number(server.address);
    expect(process.kill(pid, 0)).toBe(true);
    await Promise.all([server.close(), server.close()]);
    await server.close();
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });

  it("rejects when the program ends before it serves", async () => {
    await expect(forkServer(program, ["3"])).rejects.toThrow("server-main.ts ended with 3 before it served");
  });

  it("closes what has ended by itself", async () => {
    const server = await forkServer(program, []);
    process.kill(Number(server.address), "SIGKILL");
    await server.close();
    expect(() => process.kill(Number(server.address), 0)).toThrow("ESRCH");
  });
});
