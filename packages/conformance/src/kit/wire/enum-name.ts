/** The name of an enum's number, as protobuf-es generates enums. */
export function enumName(values: Readonly<Record<string, number>>, number: number): string {
  return Object.entries(values).find(([, value]) => value === number)?.[0] ?? String(number);
}
