import type { Edges } from "./edges.ts";
import type { GraphPlugin } from "./graph-plugin.ts";

/** A Mermaid flowchart, https://mermaid.js.org/syntax/flowchart.html: an arrow from who needs to who provides. */
export function toMermaid(plugins: readonly GraphPlugin[], edges: Edges, places: ReadonlyMap<string, number>): string {
  const lines = ["flowchart LR"];
  for (const [index, { id }] of plugins.entries()) lines.push(`  p${index}["${escapeMermaid(id)}"]`);
  for (const { consumer, type, required, providers } of edges.needs) {
    const arrow = required ? "-->" : "-.->";
    for (const provider of providers) lines.push(`  p${consumer} ${arrow}|"${escapeMermaid(type)}"| p${provider}`);
  }
  for (const [index, { consumer, type }] of edges.unmet.entries()) {
    const place = places.get(consumer);
    lines.push(`  m${index}(["${escapeMermaid(type)} is missing"])`, `  p${place} --x m${index}`);
  }
  return `${lines.join("\n")}\n`;
}

/** A graph for Graphviz, https://graphviz.org/doc/info/lang.html. */
export function toDot(plugins: readonly GraphPlugin[], edges: Edges, places: ReadonlyMap<string, number>): string {
  const lines = ["digraph plugins {", "  rankdir=LR;", "  node [shape=box];"];
  for (const [index, { id }] of plugins.entries()) lines.push(`  p${index} [label=${quoteDot(id)}];`);
  for (const { consumer, type, required, providers } of edges.needs) {
    const style = required ? "" : ", style=dashed";
    for (const provider of providers) lines.push(`  p${consumer} -> p${provider} [label=${quoteDot(type)}${style}];`);
  }
  for (const [index, { consumer, type }] of edges.unmet.entries()) {
    const place = places.get(consumer);
    lines.push(
      `  m${index} [label=${quoteDot(`${type} is missing`)}, shape=oval, color=red];`,
      `  p${place} -> m${index} [color=red];`,
    );
  }
  return `${[...lines, "}"].join("\n")}\n`;
}

/** Names are checked at the edge; a graph made of others must not become another graph. */
function escapeMermaid(text: string): string {
  return text.replace(/[^\w.\- ]/g, (character) => `#${character.codePointAt(0)};`);
}

function quoteDot(text: string): string {
  return `"${text.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n")}"`;
}
