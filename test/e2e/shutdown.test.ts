/** What may be open when a host is told to end, and must not hold it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { startTestHost } from '../host.ts';

for (const [what, bytes] of [
  ['a connection that never said anything', ''],
  ['half a request', 'POST /1/lambdas HTTP/1.1\r\nHost: x\r\nContent-Le'],
  ['a body that does not come', 'POST /1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{'],
] as const)
  test(`${what} does not hold a shutdown longer than the grace time`, async () => {
    const host = await startTestHost({ flags: { 'shutdown-grace-ms': '300' } });
    let socket: Socket | undefined;
    try {
      socket = connect(Number(new URL(host.origin).port), '127.0.0.1');
      socket.on('error', () => undefined).resume();
      const closed = once(socket, 'close');
      await once(socket, 'connect');
      socket.write(bytes);
      // A request behind it: the host has taken the connection by now.
      await host.operator.getHealth();
      assert.equal(await host.stop(), 0);
      assert.doesNotMatch(host.errorText(), /did not end in time/);
      await closed;
    } finally {
      socket?.destroy();
      await host.stop();
    }
  });
