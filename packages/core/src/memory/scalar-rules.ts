import { protoInt64, ScalarType } from "@bufbuild/protobuf";

/** What one message adds up to while it crosses. */
export interface Tally {
  /** Upper bound of its size in binary. */
  bytes: number;
  /** How deep messages are nested at this point. */
  depth: number;
  /** Set when only the parser can tell how the message arrives: it has to be serialised, this once. */
  serialize: boolean;
}

/** Checks one value; returns it as it arrives. @throws {TypeError} {RangeError} for what has no place on the wire. */
export type Take = (value: unknown, tally: Tally) => unknown;

/** Most bytes of a tag or a length, each a varint of 32 bits. */
export const varint32Bytes = 5;
const varint64Bytes = 10;
/** Most bytes of a tag and a length. */
export const prefixBytes = varint32Bytes * 2;
/** Most bytes of a 64-bit number with its tag. */
export const longBytes = varint32Bytes + varint64Bytes;
/** Longer strings are measured; a UTF-16 code unit of shorter ones counts its most, 3 bytes. */
export const measuredStringLength = 256;

const int32: Take = (value, tally) => {
  if (typeof value !== "number") throw expected("an int32", value);
  if (!Number.isInteger(value) || value > 2_147_483_647 || value < -2_147_483_648) throw outOfRange("an int32", value);
  tally.bytes += varint32Bytes + varint64Bytes;
  return value + 0; // turns -0 into 0
};

const uint32: Take = (value, tally) => {
  if (typeof value !== "number") throw expected("a uint32", value);
  if (!Number.isInteger(value) || value > 4_294_967_295 || value < 0) throw outOfRange("a uint32", value);
  tally.bytes += varint32Bytes * 2;
  return value + 0;
};

const float: Take = (value, tally) => {
  if (typeof value !== "number") throw expected("a float", value);
  const rounded = Math.fround(value);
  if (!Number.isFinite(rounded) && Number.isFinite(value)) throw outOfRange("a float", value);
  tally.bytes += varint32Bytes + 4;
  return rounded;
};

const double: Take = (value, tally) => {
  if (typeof value !== "number") throw expected("a double", value);
  tally.bytes += varint32Bytes + 8;
  return value;
};

const bool: Take = (value, tally) => {
  if (typeof value !== "boolean") throw expected("a boolean", value);
  tally.bytes += varint32Bytes + 1;
  return value;
};

/** Text; half of a surrogate pair arrives as U+FFFD, as UTF-8 cannot carry it. */
const string: Take = (value, tally) => {
  if (typeof value !== "string") throw expected("a string", value);
  const { length } = value;
  tally.bytes += varint32Bytes * 2 + (length <= measuredStringLength ? length * 3 : Buffer.byteLength(value));
  return value.isWellFormed() ? value : value.toWellFormed();
};

/** Bytes of its own; a Buffer arrives as the Uint8Array that it is. */
const copiedBytes: Take = (value, tally) => {
  // Not slice: that of a Buffer shares its memory.
  return new Uint8Array(sameBytes(value, tally));
};

const sameBytes = (value: unknown, tally: Tally): Uint8Array => {
  if (!(value instanceof Uint8Array)) throw expected("a Uint8Array", value);
  tally.bytes += varint32Bytes * 2 + value.byteLength;
  return value;
};

function long(type: string, parse: (value: string | number | bigint) => bigint | string, asString: boolean): Take {
  return (value, tally) => {
    if (typeof value !== "bigint" && typeof value !== "number" && typeof value !== "string") {
      throw expected(type, value);
    }
    tally.bytes += varint32Bytes + varint64Bytes;
    let parsed: bigint | string;
    try {
      parsed = parse(value);
    } catch {
      throw outOfRange(type, value);
    }
    return asString ? String(parsed) : parsed;
  };
}

/** The rule of one scalar type. `longAsString`: the field holds 64-bit numbers as text (jstype = JS_STRING). */
export function scalarRule(type: ScalarType, longAsString: boolean, isolate: boolean): Take {
  const rule = anyScalarRule(type, longAsString, isolate);
  return isolate || type === ScalarType.BYTES || type === ScalarType.FLOAT ? rule : unchanged(rule);
}

function anyScalarRule(type: ScalarType, longAsString: boolean, isolate: boolean): Take {
  switch (type) {
    case ScalarType.DOUBLE:
      return double;
    case ScalarType.FLOAT:
      return float;
    case ScalarType.BOOL:
      return bool;
    case ScalarType.STRING:
      return string;
    case ScalarType.BYTES:
      return isolate ? copiedBytes : sameBytes;
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return int32;
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return uint32;
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return long("an int64", (value) => protoInt64.parse(value), longAsString);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return long("a uint64", (value) => protoInt64.uParse(value), longAsString);
  }
}

/** By reference nothing can be converted on the way: it has to be what would arrive. 0 and -0 are the same here. */
function unchanged(rule: Take): Take {
  return (value, tally) => {
    const taken = rule(value, tally);
    if (taken !== value && !(Number.isNaN(taken) && Number.isNaN(value))) {
      throw new TypeError(`would arrive as ${typeof taken} ${format(taken)}, got ${typeof value} ${format(value)}`);
    }
    return value;
  };
}

/** @returns the error for a value of the wrong kind, to throw. Shows its kind only: contents may be secret. */
export function expected(kind: string, value: unknown): TypeError {
  const got = value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
  return new TypeError(`must be ${kind}, got ${got}`);
}

function outOfRange(type: string, value: number | bigint | string): RangeError {
  return new RangeError(`must be ${type}, got ${format(value)}`);
}

function format(value: unknown): string {
  return typeof value === "string" ? "text" : String(value);
}
