// @ts-check
/**
 * Whether an event is as the contract says. A gateway hands on what boards say as it
 * came: what is not of the contract stops here, and nothing behind has to doubt it.
 * The schema is the server's own, contract.json. Members that it does not know
 * are let through: a board may be newer.
 */

/**
 * The part of JSON Schema that the contract uses.
 *
 * @typedef {object} Schema
 * @property {string} [$ref]
 * @property {Schema[]} [oneOf]
 * @property {Schema[]} [anyOf]
 * @property {string | string[]} [type]
 * @property {unknown} [const]
 * @property {unknown[]} [enum]
 * @property {number} [minimum]
 * @property {number} [maximum]
 * @property {number} [minLength]
 * @property {number} [maxLength]
 * @property {string} [pattern]
 * @property {Schema} [items]
 * @property {number} [minItems]
 * @property {number} [maxItems]
 * @property {string[]} [required]
 * @property {Record<string, Schema>} [properties]
 */

const REF = "#/$defs/";

/**
 * @param {{$defs: Record<string, Schema>}} contract
 * @returns {(event: unknown) => boolean} whether it is an event, and right
 */
export function checker({ $defs }) {
  return (event) => fits($defs.Event, event);

  /** @param {Schema} schema @param {unknown} value @returns {boolean} */
  function fits(schema, value) {
    const { $ref, oneOf, anyOf = oneOf, type, enum: names } = schema;
    if ($ref) {
      return fits($defs[$ref.slice(REF.length)], value);
    }
    if ((type !== undefined && ![type].flat().some((one) => isOf(one, value))) || ("const" in schema && value !== schema.const) || (names && !names.includes(value))) {
      return false;
    }
    if (anyOf && !anyOf.some((one) => fits(one, value))) {
      return false;
    }
    if (typeof value === "number") {
      return value >= (schema.minimum ?? -Infinity) && value <= (schema.maximum ?? Infinity);
    }
    if (typeof value === "string") {
      const length = [...value].length;
      return length >= (schema.minLength ?? 0) && length <= (schema.maxLength ?? Infinity) && (!schema.pattern || new RegExp(schema.pattern, "u").test(value));
    }
    if (Array.isArray(value)) {
      const { items, minItems = 0, maxItems = Infinity } = schema;
      return value.length >= minItems && value.length <= maxItems && (!items || value.every((one) => fits(items, one)));
    }
    return value === null || typeof value !== "object" || ((schema.required ?? []).every((name) => has(value, name))
      && Object.entries(schema.properties ?? {}).every(([name, own]) => !has(value, name) || fits(own, Reflect.get(value, name))));
  }
}

/** @param {string} type @param {unknown} value */
function isOf(type, value) {
  switch (type) {
    case "integer": return Number.isInteger(value);
    case "array": return Array.isArray(value);
    case "null": return value === null;
    case "object": return typeof value === "object" && value !== null && !Array.isArray(value);
    default: return typeof value === type;
  }
}

/** @param {object} value @param {string} name */
function has(value, name) {
  return Object.prototype.hasOwnProperty.call(value, name);
}
