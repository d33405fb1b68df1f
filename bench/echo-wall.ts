/**
 * A bare process that sends back what it gets, for the peer of the amqp-echo bench: no jail, no limits, no isolate and no check. It is what
 * any server pays that keeps foreign code out of its own process. Run as a program, it is that process.
 */
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';

const CHANNEL_FD = 3;

/** Starts it; it ends with the process that started it. Bodies come back in their order. */
export function openWall(): (body: Buffer, onBack: (body: Buffer) => void) => void {
  const child = spawn(process.execPath, [import.meta.filename], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  const wall = child.stdio[CHANNEL_FD] as Socket;
  /** Behind the wall; the first is answered first. */
  const behind: { readonly bytes: number; readonly onBack: (body: Buffer) => void }[] = [];
  let back: Buffer = Buffer.alloc(0);
  wall.on('data', (bytes: Buffer) => {
    back = back.length === 0 ? bytes : Buffer.concat([back, bytes]);
    for (let next = behind[0]; next && back.length >= next.bytes; next = behind[0]) {
      behind.shift();
      next.onBack(back.subarray(0, next.bytes));
      back = back.subarray(next.bytes);
    }
  });
  return (body, onBack) => {
    behind.push({ bytes: body.length, onBack });
    wall.write(body);
  };
}

if (import.meta.main) {
  const parent = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
  parent.on('data', (bytes) => parent.write(bytes));
}
