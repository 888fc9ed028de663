import { execFile } from "node:child_process";
import { appendFile, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { type FileEndpointsOptions, fileEndpoints } from "../src/index.ts";

/** A directory of the test's own, and a clock that stands still: what is seen without moving it was told by an event. */
async function startFile() {
  const directory = await mkdtemp(join(tmpdir(), "cpg-endpoints-"));
  const path = join(directory, "hosts.json");
  const clock = new FakeClock();
  const errors: string[] = [];
  let look = () => {};
  const watches: AsyncIterator<readonly string[]>[] = [];
  const discovery = (options: Partial<FileEndpointsOptions> = {}) =>
    fileEndpoints({
      path,
      clock,
      onError(error) {
        errors.push(error.rawMessage);
        look();
      },
      ...options,
    });
  return {
    directory,
    path,
    clock,
    errors,
    discovery,
    write: (endpoints: readonly string[]) => writeFile(path, JSON.stringify(endpoints)),
    /** As programs do that never want a half-written file to be seen. */
    async replace(text: string) {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    },
    read(options: Partial<FileEndpointsOptions> = {}) {
      const lists = discovery(options).watch()[Symbol.asyncIterator]();
      watches.push(lists);
      return async () => (await lists.next()).value as readonly string[] | undefined;
    },
    whenErrors: (count: number): Promise<void> =>
      new Promise((resolve) => {
        look = () => {
          if (errors.length >= count) resolve();
        };
        look();
      }),
    async [Symbol.asyncDispose]() {
      for (const watch of watches) await watch.return?.();
      await rm(directory, { recursive: true, force: true });
      expect(clock.pending).toBe(0);
    },
  };
}

/** By this process, as Linux counts. */
async function watchedDirectories(): Promise<number> {
  let count = 0;
  for (const fd of await readdir("/proc/self/fdinfo")) {
    const info = await readFile(`/proc/self/fdinfo/${fd}`, "utf8").catch(() => ""); // closed meanwhile
    count += info.split("\n").filter((line) => line.startsWith("inotify wd:")).length;
  }
  return count;
}

const one = ["http://10.0.0.1:8080"];
const two = ["http://10.0.0.2:8080", "unix:/run/two.sock"];

function failureOf(promise: Promise<unknown>): Promise<ConnectError> {
  return promise.then(
    () => {
      throw new Error("it succeeded");
    },
    (reason: unknown) => ConnectError.from(reason),
  );
}

describe("options of fileEndpoints", () => {
  it.each([
    { rule: "path must name a file", options: { path: "" } },
    { rule: "path must name a file", options: { path: "a\0b" } },
    { rule: "pollMs must be", options: { path: "a", pollMs: 0 } },
    { rule: "pollMs must be", options: { path: "a", pollMs: Number.POSITIVE_INFINITY } },
  ])("$rule … ($options)", ({ rule, options }) => {
    expect(() => fileEndpoints(options)).toThrow(rule);
  });
});

describe("a file of endpoints", () => {
  it("is read when asked for", async () => {
    await using t = await startFile();
    await t.write(two);
    expect(await t.discovery().discover()).toEqual(two);
  });

  it("that is missing, broken or no file is an error that says so", async () => {
    await using t = await startFile();
    const messages: string[] = [];
    const note = async (path = t.path) => {
      const error = await failureOf(t.discovery({ path }).discover());
      expect(error.code).toBe(Code.Unavailable);
      messages.push(error.rawMessage.replace(t.directory, "DIR"));
    };
    await note();
    await writeFile(t.path, "[");
    await note();
    await writeFile(t.path, "x".repeat(1024 * 1024 + 1));
    await note();
    await note(t.directory);
    const pipe = join(t.directory, "pipe");
    await promisify(execFile)("mkfifo", [pipe]);
    await note(pipe);
    expect(messages).toEqual([
      expect.stringMatching(/^cannot use DIR\/hosts\.json: ENOENT/),
      "cannot use DIR/hosts.json: the endpoints must be a JSON array of strings: this is no JSON",
      "cannot use DIR/hosts.json: it has more than 1048576 bytes",
      "cannot use DIR: it is no file",
      "cannot use DIR/pipe: it is no file",
    ]);
  });

  it("is not read for a caller who has given up", async () => {
    await using t = await startFile();
    await t.write(one);
    await expect(t.discovery().discover({ signal: AbortSignal.abort("enough") })).rejects.toBe("enough");
  });
});

describe("a watch of a file", () => {
  it("tells what it holds, then each change at once: written to, replaced, removed and made again", async () => {
    await using t = await startFile();
    await t.write(one);
    const next = t.read();
    expect(await next()).toEqual(one);
    await t.write(two);
    expect(await next()).toEqual(two);
    await t.replace(JSON.stringify(one));
    expect(await next()).toEqual(one);
    await rm(t.path);
    await t.write(two);
    expect(await next()).toEqual(two);
    await t.replace("[]");
    expect(await next()).toEqual([]);
  });

  it("waits for a file that is not there yet", async () => {
    await using t = await startFile();
    const first = t.read()();
    await t.whenErrors(1);
    await t.replace(JSON.stringify(one));
    expect(await first).toEqual(one);
  });

  it("gives a slow reader the newest", async () => {
    await using t = await startFile();
    await t.write(one);
    const next = t.read();
    await next();
    for (let port = 1; port < 50; port++) await t.replace(`["http://10.0.0.1:${port}"]`);
    expect(await next()).toEqual(["http://10.0.0.1:49"]);
  });

  it("keeps what it knew while the content is bad, and tells each reason once", async () => {
    await using t = await startFile();
    await t.write(one);
    const next = t.read();
    await next();
    const after = next();
    await t.replace('["ftp://a"]');
    await t.whenErrors(1);
    await appendFile(join(t.directory, "other"), "x");
    await t.replace("nonsense");
    await t.whenErrors(2);
    await t.clock.advance(100_000);
    await t.replace(JSON.stringify(two));
    expect(await after).toEqual(two);
    expect(t.errors.map((error) => error.replace(t.path, "FILE"))).toEqual([
      "cannot use FILE: endpoints[0]: endpoint must be http://host:port, https://host:port or unix:/absolute/path",
      "cannot use FILE: the endpoints must be a JSON array of strings: this is no JSON",
    ]);
  });

  it("says nothing when the same list is written in another way", async () => {
    await using t = await startFile();
    await t.write(one);
    const next = t.read();
    await next();
    const after = next();
    await t.replace(JSON.stringify(one, undefined, 2));
    await t.replace("broken");
    await t.whenErrors(1);
    await t.replace(JSON.stringify(one));
    await t.replace("broken in another way");
    await t.replace(JSON.stringify(two));
    expect(await after).toEqual(two);
  });

  it("sees a directory of links change hands, as in a mounted ConfigMap", async () => {
    await using t = await startFile();
    const version = async (name: string, endpoints: readonly string[]) => {
      await mkdir(join(t.directory, name));
      await writeFile(join(t.directory, name, "hosts.json"), JSON.stringify(endpoints));
    };
    await version("..v1", one);
    await symlink("..v1", join(t.directory, "..data"));
    await symlink(join("..data", "hosts.json"), t.path);
    const next = t.read();
    expect(await next()).toEqual(one);
    await version("..v2", two);
    await symlink("..v2", join(t.directory, "..new"));
    await rename(join(t.directory, "..new"), join(t.directory, "..data"));
    expect(await next()).toEqual(two);
  });

  it("goes on when the whole directory is replaced", async () => {
    await using t = await startFile();
    const directory = join(t.directory, "etc");
    const path = join(directory, "hosts.json");
    const put = async (where: string, endpoints: readonly string[]) => {
      await mkdir(where);
      await writeFile(join(where, "hosts.json"), JSON.stringify(endpoints));
    };
    await put(directory, one);
    const next = t.read({ path });
    expect(await next()).toEqual(one);
    await put(`${directory}.new`, two);
    await rename(directory, `${directory}.old`);
    await rename(`${directory}.new`, directory);
    expect(await next()).toEqual(two);
    await writeFile(path, JSON.stringify(one));
    expect(await next()).toEqual(one);
  });

  it("looks at intervals for what no event tells: here, behind a link to elsewhere", async () => {
    await using t = await startFile();
    await using elsewhere = await startFile();
    await elsewhere.write(one);
    await symlink(elsewhere.path, t.path);
    const next = t.read({ pollMs: 5_000 });
    expect(await next()).toEqual(one);
    await elsewhere.replace(JSON.stringify(two));
    const after = next();
    await t.clock.waitForSleep();
    await t.clock.advance(5_000);
    expect(await after).toEqual(two);
  });

  it("ends with the reason of its signal, and leaves nothing behind when nobody reads on", async () => {
    await using t = await startFile();
    await t.write(one);
    const caller = new AbortController();
    const lists = t.discovery().watch({ signal: caller.signal })[Symbol.asyncIterator]();
    await lists.next();
    const read = lists.next();
    caller.abort("enough");
    await expect(read).rejects.toBe("enough");
    const before = await watchedDirectories();
    const forgotten = new AbortController();
    const other = t.discovery().watch({ signal: forgotten.signal })[Symbol.asyncIterator]();
    await other.next();
    expect(await watchedDirectories()).toBe(before + 1);
    forgotten.abort("enough");
    expect(await watchedDirectories()).toBe(before);
  });
});
