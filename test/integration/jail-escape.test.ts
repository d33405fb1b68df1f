/**
 * What an attacker holds who has left V8 behind: code that runs in the jailed Node process itself, with no isolate around it.
 * Each test says what it tries; all must fail.
 */
import { strict as assert } from 'node:assert';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Deployment } from '../../src/config/deployment.ts';
import type { JailMode } from '../../src/pool/choose-jail.ts';
import {
  deployment,
  removeBundles,
  testPool,
  until,
  valueOf,
  type TestPool,
} from '../scripted-runner/pool.ts';

after(removeBundles);

const missing = ['bwrap', 'prlimit'].filter((program) => spawnSync(program, ['--version']).error);
const skip =
  process.platform !== 'linux'
    ? 'the jail needs Linux'
    : missing.length > 0 && `not installed: ${missing.join(', ')}`;
if (skip) console.warn(`jail tests are skipped: ${skip}`);

interface Attempt {
  readonly gave?: unknown;
  readonly threw?: string;
}

/** A pool in the jail whose tests run one after another; `attempt` runs code in the jailed process. */
function inJail(
  run: (jailed: {
    attempt: (code: string) => Promise<Attempt>;
    pool: () => TestPool;
    lambda: Deployment;
  }) => void,
  jail: JailMode = 'bubblewrap',
): void {
  let p: TestPool | undefined;
  const ends: (() => Promise<void>)[] = [];
  before(async () => {
    p = await testPool({ after: (end) => void ends.push(end) }, { config: { jail } });
  });
  after(async () => {
    for (const end of ends) await end();
  });
  const lambda = deployment({ limits: { process_memory_mb: 1024 } });
  run({
    pool: () => p!,
    lambda,
    attempt: async (code) => valueOf(await p!.run(lambda, { do: 'eval', code })) as Attempt,
  });
}

const refused = (attempt: Attempt, pattern: RegExp): void =>
  assert.match(attempt.threw ?? `gave ${JSON.stringify(attempt.gave)}`, pattern);

describe('in the jail', { skip }, () => {
  inJail(({ attempt, pool, lambda }) => {
    const accountPid = (): number =>
      pool()
        .pool.runners()
        .find(({ accountId }) => accountId !== undefined)!.pid;
    it('the pool says which jail it is', () => assert.equal(pool().pool.jail.kind, 'bubblewrap'));

    it('code does run, so that what fails below fails for the right reason', async () => {
      assert.deepEqual(await attempt('return 6 * 7'), { gave: 42 });
    });

    for (const path of [
      '/etc/passwd',
      '/proc/self/environ',
      '/proc/1/cmdline',
      '/root',
      '/home',
      process.cwd(),
      '/sys',
      '/tmp',
      '/dev/kmsg',
      '/dev/mem',
    ])
      it(`no file of the host can be read: ${path}`, async () => {
        refused(
          await attempt(`return require('fs').readdirSync(${JSON.stringify(path)})`),
          /ERR_ACCESS_DENIED|ENOENT/,
        );
        refused(
          await attempt(`return require('fs').readFileSync(${JSON.stringify(path)}, 'latin1')`),
          /ERR_ACCESS_DENIED|ENOENT/,
        );
      });

    it('nothing can be written, not even beside the runner', async () => {
      for (const path of ['/runner/x', '/x', '/tmp/x', '/dev/shm/x'])
        refused(
          await attempt(`return require('fs').writeFileSync('${path}', 'x')`),
          /ERR_ACCESS_DENIED|ENOENT|EROFS/,
        );
    });

    it('no address can be reached, on the host or beyond', async () => {
      const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
      let connections = 0;
      server.on('connection', () => connections++);
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const connect = (to: string): Promise<Attempt> =>
        attempt(
          `return await new Promise((resolve, reject) => { require('net').connect(${to}).on('connect', () => resolve('connected')).on('error', reject); })`,
        );
      refused(await connect(`{ host: '127.0.0.1', port: ${port} }`), /EPERM|ERR_ACCESS_DENIED/);
      refused(await connect(`{ host: '::1', port: ${port} }`), /EPERM|ERR_ACCESS_DENIED/);
      refused(await connect(`{ path: '/run/dbus/system_bus_socket' }`), /EPERM|ERR_ACCESS_DENIED/);
      refused(await connect(`{ path: '\\0abstract' }`), /EPERM|ERR_ACCESS_DENIED|ERR_INVALID_ARG_VALUE/);
      refused(
        await attempt(`return await require('dns').promises.resolve('localhost')`),
        /EPERM|ECONNREFUSED|ERR_ACCESS_DENIED|ETIMEOUT|ENOTFOUND/,
      );
      refused(
        await attempt(
          `return await new Promise((resolve, reject) => { const s = require('dgram').createSocket('udp4'); s.on('error', reject); s.send('x', ${port}, '127.0.0.1', (e) => e ? reject(e) : resolve('sent')); })`,
        ),
        /EPERM|ERR_ACCESS_DENIED/,
      );
      refused(
        await attempt(
          `return await new Promise((resolve, reject) => { require('net').createServer().on('error', reject).listen(0, () => resolve('listens')); })`,
        ),
        /EPERM|ERR_ACCESS_DENIED/,
      );
      assert.equal(connections, 0);
      server.close();
    });

    it('there is no environment of the host', async () => {
      const { gave } = await attempt('return process.env');
      // bubblewrap sets PWD, always.
      assert.deepEqual(gave, { PWD: '/' });
    });

    it('no program can be run', async () => {
      refused(
        await attempt(
          `const { error } = require('child_process').spawnSync('/bin/node', ['-v']); if (error) throw error; return 'ran'`,
        ),
        /ERR_ACCESS_DENIED|EPERM/,
      );
      refused(
        await attempt(`return require('child_process').fork('/runner/runner.cjs').pid`),
        /ERR_ACCESS_DENIED|EPERM/,
      );
      refused(
        await attempt(`return new (require('worker_threads').Worker)('1', { eval: true }).threadId`),
        /ERR_ACCESS_DENIED/,
      );
    });

    it('no other process can be seen or signalled', async () => {
      assert.deepEqual(await attempt('return process.pid'), { gave: 1 });
      refused(await attempt(`return process.kill(${process.pid}, 0)`), /ESRCH|EPERM/);
      const found: number[] = [];
      // In parts, because a runner that answers nothing for a second is killed.
      for (let first = 2; first < 70_000; first += 5_000) {
        const { gave } = await attempt(
          `const found = []; for (let pid = ${first}; pid < ${first + 5_000}; pid++) { try { process.kill(pid, 0); found.push(pid); } catch {} } return found`,
        );
        found.push(...(gave as number[]));
      }
      // Its own threads have numbers too.
      const threads = readdirSync(`/proc/${accountPid()}/task`).map((thread) =>
        Number(
          /^NSpid:.*\t(\d+)$/m.exec(readFileSync(`/proc/${accountPid()}/task/${thread}/status`, 'utf8'))?.[1],
        ),
      );
      for (const pid of found) assert.ok(threads.includes(pid), `process ${pid} can be signalled`);
    });

    it('it is nobody, without capabilities, and can not become anyone', async () => {
      assert.deepEqual(await attempt('return [process.getuid(), process.getgid(), process.getgroups()]'), {
        gave: [65534, 65534, [65534]],
      });
      refused(await attempt('process.setuid(0); return process.getuid()'), /EPERM|ERR_UNKNOWN_CREDENTIAL/);
      const pid = pool()
        .pool.runners()
        .find(({ accountId }) => accountId !== undefined)!.pid;
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      assert.match(status, /^CapEff:\s+0+$/m);
      assert.match(status, /^CapBnd:\s+0+$/m);
      assert.match(status, /^NoNewPrivs:\s+1$/m);
      assert.match(status, /^Seccomp:\s+2$/m);
      const [, outerUid] = /^Uid:\s+(\d+)/m.exec(status)!;
      assert.notEqual(outerUid, '0', 'outside of its namespace it is not root either');
    });

    it('no debugger opens, by call or by signal', async () => {
      refused(
        await attempt(`require('inspector').open(0, '127.0.0.1'); return require('inspector').url()`),
        /ERR_ACCESS_DENIED|EPERM|undefined|not available/,
      );
    });

    it('it shares no namespace with the host', async () => {
      const pid = pool()
        .pool.runners()
        .find(({ accountId }) => accountId !== undefined)!.pid;
      for (const kind of ['user', 'mnt', 'pid', 'net', 'ipc', 'uts'])
        assert.notEqual(readlinkSync(`/proc/${pid}/ns/${kind}`), readlinkSync(`/proc/self/ns/${kind}`), kind);
    });

    it('it holds no descriptor of the host but its channel and outputs', async () => {
      const pid = pool()
        .pool.runners()
        .find(({ accountId }) => accountId !== undefined)!.pid;
      const open = readdirSync(`/proc/${pid}/fd`).map(
        (fd) => `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`,
      );
      const sockets = open.filter((each) => each.includes('socket:'));
      assert.deepEqual(
        sockets.map((each) => Number(each.split(' ')[0])).toSorted((a, b) => a - b),
        [1, 2, 3],
      );
      const others = open.filter((each) => !/socket:|anon_inode:|pipe:|\/dev\/null|\/runner\//.test(each));
      assert.deepEqual(others, []);
    });

    it('a program that it executes in its own place is still in the jail, and of no use', async () => {
      const outcome = await pool().run(lambda, {
        do: 'eval',
        code: `process.execve('/bin/node', ['node', '-e', 'require("net")'], {})`,
      });
      // Either Node refuses, or the runner is replaced by a process that does not speak the protocol.
      if (outcome.kind === 'reply')
        refused(valueOf(outcome) as Attempt, /ERR_ACCESS_DENIED|EPERM|ERR_FEATURE/);
      else assert.equal(outcome.kind, 'runner_lost');
    });
  });
});

describe('a jailed runner', { skip }, () => {
  it('dies with its host, however the host dies', async (t) => {
    // A host that is killed can't tidy up.
    const folder = await mkdtemp(join(tmpdir(), 'isolambda-killed-'));
    await chmod(folder, 0o755);
    t.after(() => rm(folder, { recursive: true }));
    const script = `
      const { createPool } = await import(${JSON.stringify(new URL('../../src/pool/pool.ts', import.meta.url).href)});
      const { poolParts } = await import(${JSON.stringify(new URL('../scripted-runner/pool.ts', import.meta.url).href)});
      const pool = createPool(poolParts({ config: { jail: 'bubblewrap', spareRunners: 3 } }));
      await pool.start();
      const timer = setInterval(() => { if (pool.runners().length === 3) { clearInterval(timer); console.log(JSON.stringify(pool.runners().map((each) => each.pid))); } }, 10);
      setInterval(() => {}, 1000);`;
    const host = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: folder },
    });
    const [line] = (await once(host.stdout, 'data')) as [Buffer];
    const pids = JSON.parse(line.toString()) as number[];
    assert.equal(pids.length, 3);
    host.kill('SIGKILL');
    await until('all runners are gone', () => pids.every((pid) => !existsSync(`/proc/${pid}`)));
  });
});
