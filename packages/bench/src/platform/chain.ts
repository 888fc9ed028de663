/** What the plugin at a place of the chain is called, provides and needs; the first needs nothing. */
export function linkDefinition(place: number) {
  const name = `link-${place}`;
  return {
    name,
    provides: [{ type: name, version: "1.0.0" }],
    requires: place === 0 ? [] : [{ type: `link-${place - 1}` }],
  };
}
