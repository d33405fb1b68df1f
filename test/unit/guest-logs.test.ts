import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { removeImage, startRunner } from './runner-rig.ts';

after(removeImage);

test('logger and console fill in, keep fields, and carry the request’s id', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`
    exports.main = async (request) => {
      request.logger.info('hello %s, %d of %j', 'you', 3, { a: 1 }, { field: [1, 2] });
      tools.logger.warning('same request');
      console.error('object', { a: 1 }, [2]);
      console.log('%s is %i', 'x', 3.9);
      request.logger.debug({ only: 'fields' });
      request.logger.exception(new RangeError('caught'));
      const cyclic = {}; cyclic.self = cyclic;
      console.log(cyclic);
      request.logger.info('cyclic', { cyclic, big: 1n, symbol: Symbol('s') });
      return null;
    };`);
  await runner.invoke(isolate, { requestId: 'the-request' });
  const lines = runner.lines(isolate);
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message.split('\n')[0]]),
    [
      ['info', 'hello you, 3 of {"a":1}'],
      ['warning', 'same request'],
      ['error', 'object {"a":1} [2]'],
      ['info', 'x is 3'],
      ['debug', '{"only":"fields"}'],
      ['error', 'RangeError: caught'],
      ['info', '{"self":"[circular]"}'],
      ['info', 'cyclic'],
    ],
  );
  assert.deepEqual(lines[0]!.fields, { field: [1, 2] });
  assert.deepEqual(lines[4]!.fields, { only: 'fields' });
  assert.deepEqual(Object.keys(lines[7]!.fields!), ['cyclic', 'big', 'symbol']);
  for (const line of lines) assert.equal(line.requestId, 'the-request');
});

test('long lines are cut, on either side of the limit', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `exports.main = () => { console.log('x'.repeat(100)); console.log('y'.repeat(101)); tools.logger.info('z', { a: 'z'.repeat(200) }); };`,
    { limits: { log_line_bytes: 100 } },
  );
  await runner.invoke(isolate);
  const [fits, cut, fields] = runner.lines(isolate);
  assert.equal(fits!.message, 'x'.repeat(100));
  assert.equal(cut!.message, `${'y'.repeat(100)}... [1 characters cut]`);
  assert.deepEqual(fields!.fields, { truncated: true });
});

test('a flood is dropped and counted, and the lambda answers', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `exports.main = () => { for (let i = 0; i < 20000; i++) console.log('line ' + i); return 'answered'; };`,
    { limits: { log_bytes_per_s: 10_000 } },
  );
  assert.equal((await runner.invoke(isolate)).json, 'answered');
  const kept = runner.lines(isolate).length;
  assert.ok(kept > 50 && kept < 1_000, `${kept} lines kept`);
  assert.ok(runner.dropped(isolate) >= 1, 'it is said that some were dropped');
});

test('what was logged before an endless loop is not lost', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`exports.main = () => { console.log('before'); while (true); };`, {
    limits: { cpu_ms: 50 },
  });
  assert.equal((await runner.invoke(isolate)).kind, 'cpu_limit');
  assert.equal(runner.lines(isolate)[0]!.message, 'before');
});

test('hostile fields and built-ins can’t break the frame', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`
    exports.main = () => {
      Object.prototype.toJSON = () => 'x"},{';
      String.prototype.toJSON = () => '"';
      JSON.stringify = () => ']]]';
      Array.prototype.push = () => { throw new Error('push'); };
      String.prototype.slice = () => '"';
      tools.logger.info('line\\n{"level":"critical"}', { a: { toJSON() { throw 1; } }, 'b"': 1 });
      return new Uint8Array([1]);
    };`);
  const answer = await runner.invoke(isolate);
  assert.deepEqual([...answer.body], [1]);
  assert.ok(runner.lines(isolate).every(({ level }) => level === 'info'));
});

test('a rejection that nobody handles is logged, and the isolate serves on', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `exports.main = () => { Promise.reject(new Error('nobody cares')); setTimeout(() => { throw new Error('in a timer'); }, 1); return 1; };`,
  );
  assert.equal((await runner.invoke(isolate)).json, 1);
  await runner.next('log', ({ head }) => head.lines.some(({ message }) => message.includes('in a timer')));
  assert.equal((await runner.invoke(isolate)).json, 1);
  const messages = runner.lines(isolate).map(({ message }) => message);
  assert.ok(
    messages.some((message) => /Unhandled promise rejection: Error: nobody cares/.test(message)),
    messages.join('\n'),
  );
});
