import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { removeImage, startRunner } from './runner-rig.ts';

after(removeImage);

const ECHO = 'exports.main = async (request) => request.json;';

test('an echo lambda answers with the JSON that it was sent', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(ECHO);
  const answer = await runner.invoke(isolate, { body: '{"a":[1,"é😀"]}' });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.deepEqual(answer.json, { a: [1, 'é😀'] });
});
