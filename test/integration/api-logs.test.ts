import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import type { LambdaApi } from '../../src/client/index.ts';
import type { LogLine } from '../../src/protocol/messages.ts';
import type { LogRecord } from '../../src/schemas/index.ts';
import { deployed, startApiHost, type ApiHost } from './api-host.ts';

let host: ApiHost;
before(async () => void (host = await startApiHost({ api: { heartbeatMs: 20 } })));
after(() => host.close());

const START = Date.parse('2026-01-01T00:00:00Z');
const line = (message: string, more: Partial<LogLine> = {}): LogLine => ({
  level: 'info',
  time: START,
  message,
  ...more,
});
const write = (lambdaId: string, ...lines: LogLine[]): void =>
  host.logs.add(lambdaId, 1, { lines, dropped: 0 });

test('stored lines are filtered by level, time and request, and read on from a sequence', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api);
  write(
    lambdaId,
    line('one', { level: 'debug' }),
    line('two', { requestId: 'r-2', fields: { a: 1 } }),
    line('three', { level: 'error', time: START + 1_000 }),
    line('four', { level: 'critical', time: START + 2_000 }),
  );
  await host.logs.flush();
  const messages = async (filters: Omit<Parameters<LambdaApi['getLogs']>[0], 'lambdaId'> = {}) =>
    (await api.getLogs({ lambdaId, ...filters })).json.items.map(({ message }) => message);
  assert.deepEqual(await messages(), ['one', 'two', 'three', 'four']);
  assert.deepEqual(await messages({ level: 'error' }), ['three', 'four']);
  assert.deepEqual(await messages({ requestId: 'r-2' }), ['two']);
  assert.deepEqual(await messages({ since: '2026-01-01T00:00:01Z' }), ['three', 'four']);
  assert.deepEqual(await messages({ until: '2026-01-01T01:00:01+01:00' }), ['one', 'two', 'three']);
  const newest = (await api.getLogs({ lambdaId, pageSize: 2 })).json;
  assert.deepEqual(
    newest.items.map(({ message }) => message),
    ['three', 'four'],
  );
  const [, two] = (await api.getLogs({ lambdaId })).json.items;
  assert.deepEqual(two, {
    sequence: 2,
    time: '2026-01-01T00:00:00.000Z',
    level: 'info',
    message: 'two',
    version: 1,
    request_id: 'r-2',
    fields: { a: 1 },
  });
  assert.deepEqual(await messages({ after: two.sequence }), ['three', 'four']);
  const rest = (await api.getLogs({ lambdaId, after: newest.last_sequence ?? 0 })).json;
  assert.deepEqual([rest.items, rest.last_sequence], [[], null]);
  await assert.rejects(api.getLogs({ lambdaId, since: 'noon' }), { statusCode: 400, errorCode: 43033 });
  await assert.rejects(api.getLogs({ lambdaId, level: 'loud' as never }), { statusCode: 400 });
});

test('a follower gets the lines that it has missed, then each new one, once', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api);
  write(lambdaId, line('known'), line('missed'));
  await host.logs.flush();
  const seen: string[] = [];
  const follower = api.followLogs({ lambdaId, after: 1 });
  for await (const record of follower) {
    seen.push(`${record.sequence} ${record.message}`);
    if (record.message === 'missed')
      write(lambdaId, line('live\nwith a line break'), line('last', { level: 'error' }));
    if (record.message === 'last') break;
  }
  assert.deepEqual(seen, ['2 missed', '3 live\nwith a line break', '4 last']);
});

test('a follower without a sequence gets new lines only, within its filter', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api);
  write(lambdaId, line('old', { level: 'error' }));
  await host.logs.flush();
  const follower = api.followLogs({ lambdaId, level: 'error' });
  const first = follower.next();
  // The stream is open once a line comes through: until then each write may be too early.
  const writing = setInterval(() => write(lambdaId, line('quiet'), line('loud', { level: 'error' })), 10);
  const { value } = (await first) as { value: LogRecord };
  clearInterval(writing);
  assert.equal(value.message, 'loud');
  await follower.return();
});

test('Last-Event-ID goes on where an event source was', async () => {
  const { api, token } = await host.account();
  const lambdaId = await deployed(api);
  write(lambdaId, line('one'), line('two'), line('three'));
  await host.logs.flush();
  const aborter = new AbortController();
  const response = await fetch(`${host.origin}/1/lambdas/${lambdaId}/logs?follow=1`, {
    headers: { authorization: `Bearer ${token}`, 'last-event-id': '1' },
    signal: aborter.signal,
  });
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
  assert.ok(response.headers.get('luna-request-id'));
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    // The heartbeat comes after the lines, and shows that a quiet connection lives.
    if (text.includes('three') && text.includes(': alive')) break;
  }
  aborter.abort();
  assert.deepEqual(
    [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => id),
    ['2', '3'],
  );
});

test('followers are let go when the lambda is deleted', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api);
  write(lambdaId, line('only'));
  await host.logs.flush();
  const seen: string[] = [];
  for await (const { message } of api.followLogs({ lambdaId, after: 0 })) {
    seen.push(message);
    await api.deleteLambda({ lambdaId });
  }
  assert.deepEqual(seen, ['only']);
});

test('followers are let go when the host stops, and nothing keeps it', async () => {
  const own = await startApiHost();
  const { api } = await own.account();
  const lambdaId = await deployed(api);
  own.logs.add(lambdaId, 1, { lines: [line('only')], dropped: 0 });
  await own.logs.flush();
  let closed: Promise<void> | undefined;
  for await (const _record of api.followLogs({ lambdaId, after: 0 })) closed = own.close();
  assert.ok(closed);
  await closed;
});

test('a follower of what is not there, or not allowed, is told so', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed((await host.account()).api);
  await assert.rejects(api.followLogs({ lambdaId }).next(), { statusCode: 404, errorCode: 42001 });
  await assert.rejects(host.client('wrong').followLogs({ lambdaId }).next(), { statusCode: 401 });
});
