/**
 * Every case of fixtures/attacks through a real host, as a tenant would run it. Another account's lambda is called
 * all the while. ISOLAMBDA_CORPUS_CLASSES=heap,walks: those classes only.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { brokerUrl } from '../broker.ts';
import { startBystander, type Bystander } from './bystander.ts';
import { AFTER_BRIEF_CALLS, CLASSES, readCases, type AttackCase, type ClassName } from './cases.ts';
import { isExpected, openStage, type Ended, type Stage } from './stage.ts';

const ONLY = process.env.ISOLAMBDA_CORPUS_CLASSES?.split(',');
const RUNNER_LOST = 43009;
const MEMORY_LIMIT = 43003;
const MAX_BLOCKED_MS = 250;

const classes = (Object.keys(CLASSES) as ClassName[]).filter(
  (name) => ONLY === undefined || ONLY.includes(name),
);
const corpus = new Map(classes.map((name) => [name, readCases(name)]));

describe('the attack corpus', { concurrency: 3 }, () => {
  let stage: Stage;
  let bystander: Bystander;
  const ended = new Map<ClassName, number>();

  before(async () => {
    stage = await openStage({ brokerUrl: corpus.has('amqp') ? await brokerUrl() : '' });
    bystander = startBystander(stage.host, stage.bystander.api, stage.bystanderLambda);
  });
  after(async (t) => {
    if (bystander === undefined) return stage?.close();
    const { calls, failures, blockedMs, delayedMs } = await bystander.stop();
    const alive = stage.host.process.exitCode === null && stage.host.process.signalCode === null;
    await stage.close();
    const counts = [...ended].map(([name, count]) => `${name} ${count}`).join(', ');
    console.log(
      `cases that ended as expected: ${counts}; in all ${[...ended.values()].reduce((a, b) => a + b, 0)}`,
    );
    console.log(
      `bystander: ${calls} calls, ${failures.length} failed; the host's loop was blocked for ${blockedMs.toFixed(0)} ms at most (${delayedMs.toFixed(0)} ms with waits for a processor)`,
    );
    void t;
    assert.ok(alive, 'the host died');
    assert.ok(calls > 20, `only ${calls} calls were made`);
    assert.deepEqual(failures, []);
    assert.equal(stage.target.hits(), 0, 'a lambda reached a server on loopback');
    assert.ok(blockedMs <= MAX_BLOCKED_MS, `the host's loop was blocked for ${blockedMs} ms`);
  });

  const mustEnd = async (className: ClassName, attack: AttackCase, after?: 'brief calls'): Promise<void> => {
    // Inline, where V8 gives up on an isolate, it is the runner's own thread that never returns: what V8 said is lost with it.
    const gaveUp = attack.expect.some(({ code }) => code === MEMORY_LIMIT) && after !== undefined;
    const allowed = (end: Ended): boolean =>
      attack.expect.some((ending) => isExpected(end, ending)) || (gaveUp && end.code === RUNNER_LOST);
    let end = await stage.run(attack, after);
    // The attacks of a class share an account: the one before may still be taking its runner down.
    if (!allowed(end) && end.code === RUNNER_LOST) end = await stage.run(attack, after);
    const wanted = attack.expect.map(({ text }) => text).join(' or ');
    assert.ok(allowed(end), `must end with ${wanted}; it ended with ${JSON.stringify(end)}`);
    if (attack.detail) assert.match(end.detail ?? '', attack.detail);
    ended.set(className, (ended.get(className) ?? 0) + 1);
  };

  for (const [className, cases] of corpus)
    for (const each of cases) {
      const name = `${className}/${each.name}: ${each.tries}`;
      test(name, () => mustEnd(className, each));
      if (AFTER_BRIEF_CALLS.has(className) && each.kind === 'lambda')
        test(`${name}, after brief calls`, () => mustEnd(className, each, 'brief calls'));
    }
});

test('the corpus has as many cases of each class as were promised', () => {
  for (const [name, cases] of corpus)
    assert.ok(cases.length >= CLASSES[name], `${name} has ${cases.length} of ${CLASSES[name]}`);
});
