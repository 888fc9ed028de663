import { ScalarType } from "@bufbuild/protobuf";
import { expected, scalarRule, type Tally } from "./scalar-rules.ts";

/** The rule of the keys of one map: properties of an object, whatever their type on the wire. */
export function mapKeyRule(type: ScalarType, isolate: boolean): (key: string, tally: Tally) => string {
  const rule = scalarRule(type, false, true);
  return (key, tally) => {
    const arrives = String(rule(parseKey(type, key), tally));
    if (!isolate && arrives !== key) throw new TypeError("has a key that would arrive as another");
    return arrives;
  };
}

function parseKey(type: ScalarType, key: string): unknown {
  switch (type) {
    case ScalarType.STRING:
      return key;
    case ScalarType.BOOL:
      if (key !== "true" && key !== "false") throw expected('a map whose keys are "true" and "false"', key);
      return key === "true";
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return key;
    default:
      return Number.parseInt(key, 10);
  }
}
