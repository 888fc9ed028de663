import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescOneof,
  ScalarType,
} from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { jsonObjectRule } from "./json-rule.ts";
import { mapKeyRule } from "./map-key-rule.ts";
import { expected, prefixBytes, scalarRule, type Take, type Tally } from "./scalar-rules.ts";

/** Messages nested deeper than this are refused, as protobuf-es refuses them when it parses. */
const maxDepth = 100;
/** google.protobuf.FeatureSet.FieldPresence */
const implicitPresence = 2;
const requiredPresence = 3;

type Fields = Record<string, unknown>;
interface Unknown {
  readonly no: number;
  readonly wireType: number;
  readonly data: Uint8Array;
}

/** One property of a message: a field, or a oneof. */
interface Member {
  readonly name: string;
  /** Whether it can be unset. */
  readonly optional: boolean;
  /** Why it must not be unset; undefined: it may. */
  readonly required: string | undefined;
  /** For errors. */
  readonly path: string;
  readonly take: Take;
}

const isolating = new WeakMap<DescMessage, Take>();
const checking = new WeakMap<DescMessage, Take>();

/**
 * The rule of one message type, compiled once: checks a message and returns it as it arrives, a deep copy
 * (`isolate`), or itself.
 */
export function messageRule(desc: DescMessage, isolate: boolean): Take {
  const compiled = isolate ? isolating : checking;
  const known = compiled.get(desc);
  if (known !== undefined) return known;
  const members: Member[] = [];
  const rule = isolate ? copyRule(desc, members) : checkRule(desc, members);
  compiled.set(desc, rule); // before its members: a message may contain its own type
  for (const member of desc.members) {
    members.push(member.kind === "oneof" ? oneofMember(member, isolate) : fieldMember(member, isolate));
  }
  return rule;
}

function copyRule(desc: DescMessage, members: readonly Member[]): Take {
  const { typeName } = desc;
  // Where presence needs it, protobuf-es keeps default values in a prototype that messages of one type share.
  const prototype: object = Object.getPrototypeOf(create(desc));
  const plain = prototype === Object.prototype;
  return (value, tally) => {
    const source = enter(typeName, value, tally);
    const copy: Fields = plain ? { $typeName: typeName } : Object.create(prototype);
    if (!plain) copy.$typeName = typeName;
    for (const member of members) {
      const { name } = member;
      const field = source[name];
      if (member.optional && (field === undefined || !Object.hasOwn(source, name))) {
        if (member.required !== undefined) throw new TypeError(member.required);
        continue;
      }
      copy[name] = takeNamed(member, field, tally);
    }
    const unknown = takeUnknown(desc, source.$unknown, tally);
    if (unknown.length > 0) copy.$unknown = unknown;
    tally.depth--;
    return copy;
  };
}

function checkRule(desc: DescMessage, members: readonly Member[]): Take {
  const { typeName } = desc;
  return (value, tally) => {
    const source = enter(typeName, value, tally);
    for (const member of members) {
      const field = source[member.name];
      if (member.optional && (field === undefined || !Object.hasOwn(source, member.name))) {
        if (member.required !== undefined) throw new TypeError(member.required);
      } else {
        takeNamed(member, field, tally);
      }
    }
    takeUnknown(desc, source.$unknown, tally);
    tally.depth--;
    return value;
  };
}

function enter(typeName: string, value: unknown, tally: Tally): Fields {
  if (!isFields(value)) throw expected(`a message ${typeName}`, value);
  if (value.$typeName !== typeName) throw new TypeError(`must be a message ${typeName}, got ${value.$typeName}`);
  if (++tally.depth > maxDepth) throw new RangeError(`messages must not be nested deeper than ${maxDepth}`);
  tally.bytes += prefixBytes;
  return value;
}

/** Names the field in whatever its rule throws; a nested message has named the innermost field already. */
function takeNamed(member: Member, value: unknown, tally: Tally): unknown {
  try {
    return member.take(value, tally);
  } catch (error) {
    throw error instanceof FieldRefused ? error : new FieldRefused(member.path, error);
  }
}

class FieldRefused extends TypeError {
  override readonly name = "FieldRefused";
  constructor(path: string, reason: unknown) {
    super(`${path} ${reason instanceof Error ? reason.message : String(reason)}`);
  }
}

const none: readonly Unknown[] = [];

function takeUnknown(desc: DescMessage, fields: unknown, tally: Tally): readonly Unknown[] {
  if (fields === undefined) return none;
  if (!Array.isArray(fields)) throw expected("a list of unknown fields", fields);
  return fields.map(({ no, wireType, data }: Unknown) => {
    tally.bytes += prefixBytes + data.byteLength;
    if (desc.fields.some(({ number }) => number === no)) tally.serialize = true;
    return { no, wireType, data: new Uint8Array(data) };
  });
}

function oneofMember(oneof: DescOneof, isolate: boolean): Member {
  const cases = new Map(oneof.fields.map((field) => [field.localName, fieldMember(field, isolate)]));
  const take: Take = (value, tally) => {
    if (!isFields(value)) throw expected("a oneof", value);
    const chosen = cases.get(String(value.case));
    // A case that the oneof does not have is not written.
    if (chosen === undefined) return { case: undefined };
    return { case: chosen.name, value: takeNamed(chosen, value.value, tally) };
  };
  const path = `${oneof.parent.typeName}.${oneof.name}`;
  return { name: oneof.localName, optional: false, required: undefined, path, take };
}

function fieldMember(field: DescField, isolate: boolean): Member {
  const path = `${field.parent.typeName}.${field.name}`;
  const optional = field.presence !== implicitPresence && field.fieldKind !== "list" && field.fieldKind !== "map";
  const required = field.presence === requiredPresence ? `${path} must be set: it is required` : undefined;
  return { name: field.localName, optional, required, path, take: fieldRule(field, isolate) };
}

function fieldRule(field: DescField, isolate: boolean): Take {
  switch (field.fieldKind) {
    case "scalar":
      return scalarRule(field.scalar, field.longAsString, isolate);
    case "enum":
      return field.enum.open ? enumRule(isolate) : closedEnumRule(field.enum, isolate);
    case "message":
      return singularMessageRule(field, isolate);
    case "list":
      return listRule(elementRule(field, isolate), isolate);
    case "map":
      return mapRule(field, elementRule(field, isolate), isolate);
  }
}

const enumRule = (isolate: boolean): Take => scalarRule(ScalarType.INT32, false, isolate);

/** A value that a closed enum does not know arrives among the unknown fields: the parser sees to that. */
function closedEnumRule({ values }: DescEnum, isolate: boolean): Take {
  const known = new Set<unknown>(values.map(({ number }) => number));
  const rule = enumRule(isolate);
  return (value, tally) => {
    if (!known.has(value)) tally.serialize = true;
    return rule(value, tally);
  };
}

/** The value of a field that holds one, or the elements of one that holds several. */
function elementRule(field: DescField & { fieldKind: "list" | "map" }, isolate: boolean): Take {
  if (field.message !== undefined) {
    return isJsonObject(field.message, field.parent) ? jsonObjectRule(isolate) : messageRule(field.message, isolate);
  }
  if (field.enum !== undefined) return enumRule(isolate);
  return scalarRule(field.scalar, field.fieldKind === "list" && field.longAsString, isolate);
}

function singularMessageRule({ message, parent, oneof }: DescField & { fieldKind: "message" }, isolate: boolean): Take {
  if (isJsonObject(message, parent)) return jsonObjectRule(isolate);
  // Outside a oneof protobuf-es unwraps google.protobuf.StringValue and the like.
  if (oneof === undefined && isWrapperDesc(message)) return scalarRule(message.fields[0].scalar, false, isolate);
  return messageRule(message, isolate);
}

/** A google.protobuf.Struct in a field is a plain JSON object. */
export function isJsonObject(message: DescMessage, parent: DescMessage): boolean {
  return message.typeName === "google.protobuf.Struct" && parent.typeName !== "google.protobuf.Value";
}

function listRule(element: Take, isolate: boolean): Take {
  return (value, tally) => {
    if (!Array.isArray(value)) throw expected("a list", value);
    tally.bytes += prefixBytes;
    const copy: unknown[] = [];
    // Not map: it would skip holes.
    for (let index = 0; index < value.length; index++) {
      const taken = element(value[index], tally);
      if (isolate) copy.push(taken);
    }
    return isolate ? copy : value;
  };
}

function mapRule(field: DescField & { fieldKind: "map" }, element: Take, isolate: boolean): Take {
  const takeKey = mapKeyRule(field.mapKey, isolate);
  return (value, tally) => {
    if (!isFields(value)) throw expected("a map", value);
    const copy: Fields = {};
    for (const key of Object.keys(value)) {
      tally.bytes += prefixBytes;
      const name = takeKey(key, tally);
      const taken = element(value[key], tally);
      if (isolate) setOwn(copy, name, taken);
    }
    return isolate ? copy : value;
  };
}

/** Sets a property of its own, even one named `__proto__`. */
function setOwn(target: Fields, key: string, value: unknown): void {
  if (key !== "__proto__") target[key] = value;
  else Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
