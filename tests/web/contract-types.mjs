/* TypeScript declarations from www/contract.schema.json: the page's JSDoc types are checked against them. It knows the
 * keywords of JSON Schema that the contract uses, and stops at any other.
 *
 *   node contract-types.mjs SCHEMA    prints the declarations (make types) */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const IGNORED = new Set(['description', 'title', '$schema', 'minimum', 'maximum', 'minLength', 'maxLength', 'minItems',
  'maxItems', 'uniqueItems', 'minProperties', 'anyOf', 'pattern']);
const KNOWN = new Set(['$ref', 'type', 'const', 'enum', 'oneOf', 'properties', 'required', 'additionalProperties', 'items']);

export function declarations(schema) {
  const types = Object.entries(schema.$defs).map(([name, definition]) =>
    `${comment(definition, '')}export type ${typeName(name)} = ${type(definition, '')};\n`);
  return `// Generated from contract.schema.json.\n\n${types.join('\n')}`;
}

const typeName = (name) => name[0].toUpperCase() + name.slice(1);

const comment = ({ description }, indent) => (description ? `${indent}/** ${description} */\n` : '');

function type(schema, indent) {
  for (const word of Object.keys(schema)) {
    if (!KNOWN.has(word) && !IGNORED.has(word)) throw new Error(`no type is known for the schema's word "${word}"`);
  }
  if (schema.$ref) return typeName(schema.$ref.replace('#/$defs/', ''));
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.oneOf && !schema.properties) return schema.oneOf.map((one) => type(one, indent)).join(' | ');
  if (Array.isArray(schema.type)) return schema.type.map((each) => type({ ...schema, type: each }, indent)).join(' | ');
  switch (schema.type) {
    case 'string': return 'string';
    case 'null': return 'null';
    case 'boolean': return 'boolean';
    case 'number': case 'integer': return 'number';
    case 'array': return `(${type(schema.items, indent)})[]`;
    case 'object': return object(schema, `${indent}  `);
    default: throw new Error(`no type is known for ${JSON.stringify(schema)}`);
  }
}

function object({ properties, required = [], additionalProperties }, indent) {
  const members = Object.entries(properties).map(([name, value]) =>
    `${comment(value, indent)}${indent}${name}${required.includes(name) ? '' : '?'}: ${type(value, indent)};\n`);
  if (additionalProperties) members.push(`${indent}[field: string]: unknown;\n`);
  return `{\n${members.join('')}${indent.slice(2)}}`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.stdout.write(declarations(JSON.parse(readFileSync(process.argv[2], 'utf8'))));
}
