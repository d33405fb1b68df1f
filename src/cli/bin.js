#!/usr/bin/env node
// Plain old JavaScript on purpose: an old Node must get as far as telling its user what is wrong.
import fs from 'fs';
import { fileURLToPath } from 'url';

var NEEDED = 24;
var here = Number(process.versions.node.split('.')[0]);

if (here < NEEDED) {
  process.stderr.write(
    'isolambda needs Node ' +
      NEEDED +
      ' or newer, this is ' +
      process.version +
      ': run it through npm (npm start, npx isolambda), which finds the pinned one, or install Node ' +
      NEEDED +
      '\n',
  );
  process.exitCode = 1;
} else {
  // A source tree has src/main.ts and runs it as it stands; the published package has only what was built from it.
  var source = new URL('../main.ts', import.meta.url);
  var built = new URL('../../dist/src/main.js', import.meta.url);
  import((fs.existsSync(fileURLToPath(source)) ? source : built).href).catch(function (error) {
    process.stderr.write('isolambda could not start: ' + ((error && error.stack) || error) + '\n');
    process.exitCode = 1;
  });
}
