import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const program = fileURLToPath(new URL("../src/demo.ts", import.meta.url));

/** Starts the demo, and does something at its first line that fits. Returns what came of it when it has ended. */
async function runDemo(args: readonly string[], pattern: RegExp, act: (match: string, end: EndDemo) => unknown) {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, ...args], {
    env: { ...process.env, NO_COLOR: "1" },
  });
  const closed = once(child, "close");
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += String(chunk);
  });
  let output = "";
  let acted: Promise<unknown> | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    output += `${line}\n`;
    const match = pattern.exec(line)?.[1];
    if (match !== undefined) acted ??= Promise.resolve(act(match, (signal) => child.kill(signal)));
  }
  const [code] = await closed;
  return { code, errors, output, acted: await acted };
}
type EndDemo = (signal: NodeJS.Signals) => void;

/** As curl would do it. Returns the answer, or the error. */
async function shorten(endpoint: string, url: string) {
  const response = await fetch(`${endpoint}/urlshortener.v1.ShortenerService/Shorten`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ url }),
  });
  return (await response.json()) as { readonly code: string };
}

async function refuses(url: string): Promise<boolean> {
  return await fetch(url).then(
    () => false,
    () => true,
  );
}

describe("the demo", { timeout: 120_000 }, () => {
  it("shows what it says, keeps running with --keep until it is told to end, and ends all it started", async () => {
    let redirect = "";
    const { code, errors, output, acted } = await runDemo(["--keep"], /curl -i (\S+)/, async (url, end) => {
      redirect = url;
      const odd = await shorten(new URL(url).origin, "https://example.org/\u00e9\r\nset-cookie: a=b");
      const wrong = await shorten(new URL(url).origin, "javascript:alert(1)");
      const { status, headers } = await fetch(new URL(`/r/${odd.code}`, url), { redirect: "manual" });
      end("SIGTERM");
      return { status, location: headers.get("location"), wrong };
    });
    expect({ code, errors, acted }).toEqual({
      code: 0,
      errors: "",
      acted: {
        status: 302,
        location: "https://example.org/%C3%A9set-cookie:%20a=b",
        wrong: { code: "invalid_argument", message: "url must be an http or https URL" },
      },
    });
    expect(await refuses(redirect)).toBe(true);

    const [, starting, calls, graph, degraded, recovered, replaced, ending] = output.split(/^\d\. /m);
    expect(starting).toMatch(/host +api is available/);
    for (const line of [
      /you +\$ resolve \w{7}\n +you +https:\/\/connectrpc\.com\/docs\/introduction\n/,
      /GET \/r\/\w{7}: 302, location: https:\/\/connectrpc\.com\/docs\/introduction\n/,
      /GET \/r\/nothing: 404/,
      /you +\w{7} resolves to https:\/\/github\.com/,
      /host +call api -> storage \/urlshortener\.v1\.StorageService\/Save ok/,
      /host +call storage -> logger \/capability\.logger\.v1\.Logger\/Log ok/,
      /logger +log info: saved \w{7}/,
    ]) {
      expect(calls).toMatch(line);
    }
    expect(graph).toMatch(/p1 -\.->\|"logger"\| p0\n +p2 -->\|"storage"\| p1\n +p2 -\.->\|"logger"\| p0\n/);
    expect(degraded).toMatch(/host +logger is unavailable/);
    expect(degraded).toMatch(/host +storage is degraded: nobody logs/);
    expect(degraded).toMatch(/host +api is degraded: nobody logs/);
    expect(degraded).toMatch(/you +\w{7} resolves to https:\/\/example\.org\/without-a-logger/);
    expect(recovered).toMatch(/host +storage is available/);
    expect(recovered).toMatch(/host +api is available/);
    expect(recovered).toMatch(/logger +log info: shortened https:\/\/example\.org\/with-a-logger/);
    const [, made] = /you +calls made: (\d+), failed: 0; the switch took [\d.]+ ms\n/.exec(replaced ?? "") ?? [];
    expect(Number(made)).toBeGreaterThanOrEqual(16);
    expect(ending).toMatch(
      /host +api is unavailable[\s\S]*host +storage is unavailable[\s\S]*host +logger is unavailable/,
    );
  });

  it("ends all it has started when it is interrupted on its way", async () => {
    let host = "";
    const { code } = await runDemo([], /host ready at (\S+)/, (endpoint, end) => {
      host = endpoint;
      end("SIGINT");
    });
    expect(code).toBe(130);
    expect(await refuses(host)).toBe(true);
  });
});
