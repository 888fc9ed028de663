import { describe, expect, it } from "vitest";
import { parseLaunchEnvironment } from "./environment-schema.ts";

describe("HOST_URL", () => {
  it.each([
    { text: "", hostUrl: undefined },
    { text: "http://a:1", hostUrl: "http://a:1" },
    { text: "http://a:1,https://b,unix:/run/c.sock", hostUrl: ["http://a:1", "https://b", "unix:/run/c.sock"] },
    { text: "http://a:1 , http://b:1", hostUrl: ["http://a:1", "http://b:1"] },
    { text: "unix:/run/a,b.sock,http://b/x,y", hostUrl: ["unix:/run/a,b.sock", "http://b/x,y"] },
  ])("$text", ({ text, hostUrl }) => {
    expect(parseLaunchEnvironment({ HOST_URL: text }).hostUrl).toEqual(hostUrl);
  });

  it.each([
    { text: "a:1", says: "http://host:port" },
    { text: "http://a:1,b:1", says: "http://host:port" },
    { text: "http://a,b", says: "must name each host by its URL" },
    { text: "http://a:1,", says: "http://host:port" },
    { text: "http://a,", says: "must name each host by its URL" },
    { text: ",http://a", says: "http://host:port" },
    { text: "http://a,http://a:80", says: "the list[1] is there twice" },
    { text: "http://a,http://u:p@b", says: "must not contain user or password" },
    { text: `http://a/${"x".repeat(2048)}`, says: "at most 2048 characters" },
    { text: Array.from({ length: 101 }, (_, i) => `http://a:${i + 1}`).join(), says: "1 to 100 endpoints" },
  ])("refuses $text, without repeating it", ({ text, says }) => {
    const parse = () => parseLaunchEnvironment({ HOST_URL: text });
    expect(parse).toThrow("environment variable HOST_URL");
    expect(parse).toThrow(says);
    expect(parse).not.toThrow(text);
  });
});
