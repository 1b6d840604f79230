/* A reporter for node's test runner that prints what the other test programs print: "not ok - NAME" with its reason, or
 * "skipped: NAME", and in the end the line "N passed, N failed". */
import { inspect } from 'node:util';

/* An error as text, without the frames of node itself. */
function reason(error) {
  const text = error?.stack ?? inspect(error);
  return text.split('\n').filter((line) => !/^\s+at .*(node:|\/node_modules\/)/.test(line)).join('\n');
}

export default async function* report(events) {
  const n = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of events) {
    const error = data.details?.error;
    const took = `(${Math.round(data.details?.duration_ms)} ms)`;
    const skipped = data.skip ?? data.todo;
    if (type === 'test:stdout' || type === 'test:stderr') {
      yield data.message;
    } else if (type === 'test:diagnostic' && !/^\w+ [\d.]+$/.test(data.message)) {
      yield `# ${data.message}\n`;
    } else if (type === 'test:pass' && data.details.type !== 'suite') {
      n[skipped === undefined ? 'passed' : 'skipped']++;
      yield skipped === undefined ? `ok - ${data.name} ${took}\n`
        : `skipped: ${data.name}${typeof skipped === 'string' ? `: ${skipped}` : ''}\n`;
    } else if (type === 'test:fail' && error.failureType === 'subtestsFailed') {
      n.failed += data.details.type === 'suite' ? 0 : 1; // its parts are reported themselves
    } else if (type === 'test:fail') {
      n.failed++;
      yield `not ok - ${data.name} ${took}\n${reason(error.cause ?? error).replace(/^/gm, '    ')}\n`;
    }
  }
  yield `${n.passed} passed, ${n.failed} failed${n.skipped ? `, ${n.skipped} skipped` : ''}\n`;
}
