import { create, type DescField, type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { isJsonObject } from "./message-rule.ts";
import { longBytes, measuredStringLength, prefixBytes, varint32Bytes, varint64Bytes } from "./scalar-rules.ts";

/**
 * The bytes that a message has at most when all that it holds is plainly right, as its rule would find it; else `unclear`:
 * then its rule has to look.
 */
export type PlainWeight = (message: unknown) => number;

export const unclear = -1;

/** Messages nested deeper than this are left to the rule. */
const maxDepth = 20;

/** What a member must be. Numbers, and one switch over them: a function for each would make the check twice as long. */
const TYPE_NAME = -1;
const TEXT = 0;
const BYTES = 1;
const BOOL = 2;
const INT32 = 3;
const UINT32 = 4;
const INT64 = 5;
const UINT64 = 6;
const DOUBLE = 7;
const MESSAGE = 8;
const UNSET_ONEOF = 9;
const UNCLEAR = 10;

interface Plan {
  readonly typeName: string;
  readonly members: Member[];
}

interface Member {
  readonly name: string;
  readonly kind: number;
  readonly list: boolean;
  readonly optional: boolean;
  /** Of a message. */
  readonly nested: Plan | undefined;
}

/** google.protobuf.FeatureSet.FieldPresence */
const implicitPresence = 2;

/** @returns undefined for types whose messages are never plain: those that keep defaults in a prototype, or have maps. */
export function plainWeight(desc: DescMessage): PlainWeight | undefined {
  const plan = compile(desc);
  return plan && ((message) => weighMessage(plan, message, 0));
}

const compiled = new WeakMap<DescMessage, Plan | undefined>();

function compile(desc: DescMessage): Plan | undefined {
  if (compiled.has(desc)) return compiled.get(desc);
  const never = Object.getPrototypeOf(create(desc)) !== Object.prototype || desc.fields.some(isMap);
  const typeName: Member = { name: "$typeName", kind: TYPE_NAME, list: false, optional: false, nested: undefined };
  const plan: Plan = { typeName: desc.typeName, members: [typeName] };
  compiled.set(desc, never ? undefined : plan); // before its members: a message may contain its own type
  if (never) return undefined;
  for (const member of desc.members) {
    const list = member.kind === "field" && member.fieldKind === "list";
    const kind = kindOf(member);
    plan.members.push({
      name: member.localName,
      kind,
      list,
      optional: member.kind === "field" && !list && member.presence !== implicitPresence,
      nested: kind === MESSAGE && member.kind === "field" && member.message ? compile(member.message) : undefined,
    });
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
    default:
      return UNCLEAR;
  }
}

/**
 * Goes through the properties, not the members: V8 reads those of a `for in` from a list that the shape of an object has,
 * where a name from a variable costs a search. They come in the order of the members, unless the message was made by hand.
 */
function weighMessage(plan: Plan, message: unknown, depth: number): number {
  if (typeof message !== "object" || message === null || depth > maxDepth) return unclear;
  const source = message as Record<string, unknown>;
  const { members } = plan;
  let bytes = prefixBytes;
  let index = 0;
  for (const name in source) {
    let member = members[index++];
    while (member !== undefined && member.name !== name && member.optional) member = members[index++];
    if (member === undefined || member.name !== name) return unclear;
    const value = source[name];
    let weight: number;
    if (member.list) {
      weight = weighList(member, value, depth);
    } else {
      switch (member.kind) {
        case TYPE_NAME:
          weight = value === plan.typeName ? 0 : unclear;
          break;
        case TEXT:
          weight = typeof value === "string" ? weighText(value) : unclear;
          break;
        case BYTES:
          weight = value instanceof Uint8Array ? prefixBytes + value.byteLength : unclear;
          break;
        default:
          weight = value === undefined && member.optional ? 0 : weighValue(member, value, depth);
      }
    }
    if (weight === unclear) return unclear;
    bytes += weight;
  }
  for (; index < members.length; index++) if (!members[index]?.optional) return unclear;
  return bytes;
}

function weighText(value: string): number {
  if (!value.isWellFormed()) return unclear;
  return prefixBytes + (value.length <= measuredStringLength ? value.length * 3 : Buffer.byteLength(value));
}

function weighList(member: Member, list: unknown, depth: number): number {
  if (!Array.isArray(list)) return unclear;
  let bytes = prefixBytes;
  for (let index = 0; index < list.length; index++) {
    const weight = weighValue(member, list[index], depth);
    if (weight === unclear) return unclear;
    bytes += weight;
  }
  return bytes;
}

function weighValue({ kind, nested }: Member, value: unknown, depth: number): number {
  switch (kind) {
    case TEXT:
      return typeof value === "string" ? weighText(value) : unclear;
    case BYTES:
      return value instanceof Uint8Array ? prefixBytes + value.byteLength : unclear;
    case BOOL:
      return typeof value === "boolean" ? varint32Bytes + 1 : unclear;
    case INT32:
      return typeof value === "number" && (value | 0) === value ? varint32Bytes + varint64Bytes : unclear;
    case UINT32:
      return typeof value === "number" && value >>> 0 === value ? varint32Bytes * 2 : unclear;
    case INT64:
      return typeof value === "bigint" && BigInt.asIntN(64, value) === value ? longBytes : unclear;
    case UINT64:
      return typeof value === "bigint" && BigInt.asUintN(64, value) === value ? longBytes : unclear;
    case DOUBLE:
      return typeof value === "number" ? varint32Bytes + 8 : unclear;
    case MESSAGE:
      return nested === undefined ? unclear : weighMessage(nested, value, depth + 1);
    case UNSET_ONEOF:
      return typeof value === "object" && value !== null && "case" in value && value.case === undefined ? 0 : unclear;
    default:
      return unclear;
  }
}
