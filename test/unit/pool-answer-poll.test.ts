import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { AnswerPoll } from '../../src/pool/answer-poll.ts';

/** Whether the event loop is kept from sleeping. */
const isAwake = (): boolean => process.getActiveResourcesInfo().includes('Immediate');
const LONG_US = 60_000_000;

// What a test before has left turning stops at its next turn.
beforeEach(async () => {
  await turn();
  await turn();
});

function answerAtOnce(poll: AnswerPoll, times: number): void {
  for (let time = 0; time < times; time += 1) {
    poll.asked();
    poll.answered();
  }
}

test('an answer that usually comes at once is waited for awake, until it comes', async () => {
  const poll = new AnswerPoll(LONG_US);
  answerAtOnce(poll, 1);
  await turn();
  poll.asked();
  for (let look = 0; look < 3; look += 1) {
    assert.ok(isAwake());
    await pause(2);
  }
  poll.answered();
  await turn();
  assert.ok(!isAwake());
});

test('nothing is polled before it is known how long answers take', () => {
  const poll = new AnswerPoll(LONG_US);
  poll.asked();
  assert.ok(!isAwake());
});

test('no answer is polled for longer than it may be, however many invocations follow', async () => {
  const poll = new AnswerPoll(1_000);
  answerAtOnce(poll, 1);
  poll.asked();
  assert.ok(isAwake());
  await pause(20);
  assert.ok(!isAwake());
  poll.asked();
  assert.ok(!isAwake());
});

test('answers that take long are waited for asleep, until they come soon again', async () => {
  const poll = new AnswerPoll(1_000);
  poll.asked();
  await pause(20);
  poll.answered();
  poll.asked();
  assert.ok(!isAwake());
  poll.answered();
  answerAtOnce(poll, 30);
  poll.asked();
  assert.ok(isAwake());
  poll.answered();
});

test('0 polls never', () => {
  const poll = new AnswerPoll(0);
  answerAtOnce(poll, 3);
  poll.asked();
  assert.ok(!isAwake());
});
