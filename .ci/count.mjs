// Adds up the runners' JSON reports of a folder and prints CI's closing line. A step that broke without
// a failed test (lint, types, a runner that crashed) counts as a failure.
import { readdirSync, readFileSync } from 'node:fs';

const [folder, broken] = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
for (const name of readdirSync(folder)) {
  const report = JSON.parse(readFileSync(`${folder}/${name}`, 'utf8'));
  total.passed += report.numPassedTests;
  total.failed += report.numFailedTests;
  total.skipped += report.numPendingTests + (report.numTodoTests ?? 0);
}
total.failed = Math.max(total.failed, Number(broken));
const { passed, failed, skipped } = total;
process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
