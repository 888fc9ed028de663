import { create, type DescField, type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { isJsonObject } from "./message-rule.ts";
import { longBytes, measuredStringLength, prefixBytes, varint32Bytes } from "./scalar-rules.ts";

/**
 * The bytes that a message has at most when all that it holds is plainly right, as its rule would find it; else `unclear`:
 * then its rule has to look.
 */
export type PlainWeight = (message: unknown) => number;

export const unclear = -1;

/** Messages nested deeper than this are left to the rule. */
const maxDepth = 20;

/** What a member must be. */
const TYPE_NAME = 0;
const TEXT = 1;
const BYTES = 2;
const BOOL = 3;
const INT32 = 4;
const UINT32 = 5;
const INT64 = 6;
const UINT64 = 7;
const DOUBLE = 8;
const FLOAT = 9;
const MESSAGE = 10;
const UNSET_ONEOF = 11;
const LIST = 12;
const UNCLEAR = 13;

interface Plan {
  readonly typeName: string;
  /** In the order in which a message gets its properties, `$typeName` first. The rest has one element for each. */
  readonly names: string[];
  readonly kinds: number[];
  readonly optional: boolean[];
  /** Of the elements of lists. */
  readonly elements: number[];
  /** Of what is a message, or a list of them. */
  readonly nested: (Plan | undefined)[];
}

/** google.protobuf.FeatureSet.FieldPresence */
const implicitPresence = 2;

/** @returns undefined for types whose messages are hardly ever plain: with defaults in a prototype, or with maps. */
export function plainWeight(desc: DescMessage): PlainWeight | undefined {
  const plan = compile(desc);
  return plan && ((message) => weighMessage(plan, message, 0));
}

const compiled = new WeakMap<DescMessage, Plan | undefined>();

function compile(desc: DescMessage): Plan | undefined {
  if (compiled.has(desc)) return compiled.get(desc);
  const never = Object.getPrototypeOf(create(desc)) !== Object.prototype || desc.fields.some(isMap);
  const plan: Plan = {
    typeName: desc.typeName,
    names: ["$typeName"],
    kinds: [TYPE_NAME],
    optional: [false],
    elements: [UNCLEAR],
    nested: [undefined],
  };
  compiled.set(desc, never ? undefined : plan); // before its members: a message may contain its own type
  if (never) return undefined;
  for (const member of desc.members) {
    const list = member.kind === "field" && member.fieldKind === "list";
    const kind = kindOf(member);
    plan.names.push(member.localName);
    plan.kinds.push(list ? LIST : kind);
    plan.optional.push(member.kind === "field" && !list && member.presence !== implicitPresence);
    plan.elements.push(kind);
    plan.nested.push(
      kind === MESSAGE && member.kind === "field" && member.message ? compile(member.message) : undefined,
    );
  }
  return plan;
}

const isMap = (field: DescField) => field.fieldKind === "map";

function kindOf(member: DescField | DescOneof): number {
  if (member.kind === "oneof") return UNSET_ONEOF;
  if (member.message !== undefined) {
    return isJsonObject(member.message, member.parent) || isWrapperDesc(member.message) ? UNCLEAR : MESSAGE;
  }
  if (member.enum !== undefined) return member.enum.open ? INT32 : UNCLEAR;
  const asText = member.fieldKind !== "map" && member.longAsString;
  switch (member.scalar) {
    case ScalarType.STRING:
      return TEXT;
    case ScalarType.BYTES:
      return BYTES;
    case ScalarType.BOOL:
      return BOOL;
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return INT32;
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return UINT32;
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return asText ? UNCLEAR : INT64;
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return asText ? UNCLEAR : UINT64;
    case ScalarType.DOUBLE:
      return DOUBLE;
    case ScalarType.FLOAT:
      return FLOAT;
    default:
      return UNCLEAR;
  }
}

/**
 * Goes through the properties, not the members: V8 reads those of a `for in` from a list that the shape of an object has,
 * where a name from a variable costs a search. They come in the order of the members, unless a message was made by hand.
 * All in one function, as calls of others would make it half as long again.
 */
function weighMessage(plan: Plan, message: unknown, depth: number): number {
  if (typeof message !== "object" || message === null || depth > maxDepth) return unclear;
  const source = message as Record<string, unknown>;
  const { names, kinds } = plan;
  let bytes = prefixBytes;
  let index = -1;
  for (const name in source) {
    if (names[++index] !== name) {
      index = skipUnset(plan, index, name);
      if (index < 0) return unclear;
    }
    const value = source[name];
    switch (kinds[index]) {
      case TYPE_NAME:
        if (value !== plan.typeName) return unclear;
        break;
      case TEXT:
        if (typeof value !== "string" || !value.isWellFormed()) return unclear;
        bytes += prefixBytes + (value.length <= measuredStringLength ? value.length * 3 : Buffer.byteLength(value));
        break;
      case BYTES:
        if (!(value instanceof Uint8Array)) return unclear;
        bytes += prefixBytes + value.byteLength;
        break;
      case INT32:
        if (typeof value !== "number" || (value | 0) !== value) return unclear;
        bytes += longBytes;
        break;
      case INT64:
        if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) return unclear;
        bytes += longBytes;
        break;
      case LIST: {
        if (!Array.isArray(value)) return unclear;
        bytes += prefixBytes;
        const kind = plan.elements[index] as number;
        const nested = plan.nested[index];
        for (let at = 0; at < value.length; at++) {
          const element: unknown = value[at];
          if (kind === TEXT && typeof element === "string" && element.length <= measuredStringLength) {
            if (!element.isWellFormed()) return unclear;
            bytes += prefixBytes + element.length * 3;
          } else {
            const weight = weighValue(kind, element, nested, depth);
            if (weight === unclear) return unclear;
            bytes += weight;
          }
        }
        break;
      }
      default: {
        const weight = weighValue(kinds[index] as number, value, plan.nested[index], depth);
        if (weight === unclear) return unclear;
        bytes += weight;
      }
    }
  }
  return skipUnset(plan, index + 1, undefined) === names.length ? bytes : unclear;
}

/** The index of the member of that name, from `index`, or that after the last; `unclear` if one is missing before. */
function skipUnset({ names, optional }: Plan, index: number, name: string | undefined): number {
  let at = index;
  while (at < names.length && names[at] !== name) {
    if (!optional[at]) return unclear;
    at++;
  }
  return at < names.length || name === undefined ? at : unclear;
}

function weighValue(kind: number, value: unknown, nested: Plan | undefined, depth: number): number {
  switch (kind) {
    case TEXT:
      if (typeof value !== "string" || !value.isWellFormed()) return unclear;
      return prefixBytes + (value.length <= measuredStringLength ? value.length * 3 : Buffer.byteLength(value));
    case BYTES:
      return value instanceof Uint8Array ? prefixBytes + value.byteLength : unclear;
    case BOOL:
      return typeof value === "boolean" ? varint32Bytes + 1 : unclear;
    case INT32:
      return typeof value === "number" && (value | 0) === value ? longBytes : unclear;
    case UINT32:
      return typeof value === "number" && value >>> 0 === value ? varint32Bytes * 2 : unclear;
    case INT64:
      return typeof value === "bigint" && BigInt.asIntN(64, value) === value ? longBytes : unclear;
    case UINT64:
      return typeof value === "bigint" && BigInt.asUintN(64, value) === value ? longBytes : unclear;
    case DOUBLE:
      return typeof value === "number" ? varint32Bytes + 8 : unclear;
    case FLOAT:
      return typeof value === "number" && Object.is(Math.fround(value), value) ? varint32Bytes + 4 : unclear;
    case MESSAGE:
      return nested === undefined ? unclear : weighMessage(nested, value, depth + 1);
    case UNSET_ONEOF:
      return typeof value === "object" && value !== null && "case" in value && value.case === undefined ? 0 : unclear;
    default:
      return unclear;
  }
}
