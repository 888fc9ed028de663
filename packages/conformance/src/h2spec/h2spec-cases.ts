/** One case of h2spec. */
export interface H2specCase {
  /** As h2spec takes it to run that case alone, "http2/5.1/9". */
  readonly id: string;
  readonly title: string;
}

export type H2specResult = "passed" | "failed" | "skipped";

/** Of its three groups, in their order. */
const groups = ["generic", "http2", "hpack"] as const;

/**
 * The cases that `h2spec --dryrun` prints: for each group its title, below it sections, "5.1. Stream States", and in
 * these their cases, "9: closed: Sends …".
 * @throws {Error} for a line that is none of these.
 */
export function parseCases(dryRun: string): H2specCase[] {
  const cases: H2specCase[] = [];
  let group = -1;
  let section = "";
  for (const line of dryRun.split("\n").map((text) => text.trimEnd())) {
    if (line === "") continue;
    const heading = /^ +([\d.]+)\. /.exec(line);
    const found = /^ +(\d+): (.*)$/.exec(line);
    if (!line.startsWith(" ")) group++;
    else if (heading?.[1] !== undefined) section = heading[1];
    else if (found?.[1] !== undefined)
      cases.push({ id: `${groups[group]}/${section}/${found[1]}`, title: found[2] ?? "" });
    else throw new Error(`h2spec prints what is no case: ${line}`);
  }
  return cases;
}

/** What came of the cases, by group, section and title, as the report that h2spec writes (JUnit) has it. */
export function parseReport(report: string): Map<string, H2specResult> {
  const results = new Map<string, H2specResult>();
  for (const [, section, title = "", outcome] of report.matchAll(
    /<testcase package="([^"]*)" classname="([^"]*)"[^>]*>\s*<(\/testcase|skipped|failure|error)/g,
  )) {
    const result = outcome === "/testcase" ? "passed" : outcome === "skipped" ? "skipped" : "failed";
    results.set(reportKey(section ?? "", unescapeXml(title)), result);
  }
  return results;
}

/** Result of one case, if the report has it. */
export function resultOf(
  results: ReadonlyMap<string, H2specResult>,
  { id, title }: H2specCase,
): H2specResult | undefined {
  return results.get(reportKey(id.slice(0, id.lastIndexOf("/")), title));
}

function reportKey(section: string, title: string): string {
  return `${section}: ${title}`;
}

/** As Go writes it. */
function unescapeXml(text: string): string {
  return text
    .replaceAll("&#34;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
