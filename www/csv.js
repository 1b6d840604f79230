// @ts-check
/** Comma-separated values (RFC 4180). */

/**
 * @param {string[]} fields
 * @param {object[]} records
 * @returns {string} with a header line; "" without records
 */
export function csv(fields, records) {
  if (records.length === 0) {
    return "";
  }
  const lines = records.map((record) => fields.map((field) => cell(Reflect.get(record, field))).join(","));
  return [fields.join(","), ...lines, ""].join("\r\n");
}

/**
 * Text that a spreadsheet would take for a formula gets an apostrophe before
 * it: names come from whoever sends ticks.
 *
 * @param {unknown} value
 */
function cell(value) {
  if (value === undefined || value === null) {
    return "";
  }
  if (typeof value !== "string") {
    return String(value);
  }
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
