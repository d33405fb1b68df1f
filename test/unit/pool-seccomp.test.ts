import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import {
  SECCOMP_ALLOW,
  SECCOMP_ENOSYS,
  SECCOMP_EPERM,
  SECCOMP_KILL,
  seccompArch,
  seccompFilter,
  seccompProgram,
  type SeccompArch,
} from '../../src/pool/seccomp.ts';

const AUDIT = { x64: 0xc000003e, arm64: 0xc00000b7, i386: 0x40000003, arm: 0x40000028 };

/** What the kernel does with the program: enough of classic BPF for what the assembler emits. */
function judge(arch: SeccompArch, call: { nr: number; audit?: number; arg0?: number }): number {
  const { nr, audit = AUDIT[arch], arg0 = 0 } = call;
  const words = new Map([
    [0, nr],
    [4, audit],
    [16, arg0],
  ]);
  const program = seccompProgram(arch);
  let accumulator = 0;
  for (let at = 0; at < program.length; at++) {
    const { code, jt, jf, k } = program[at]!;
    if (code === 0x20) accumulator = words.get(k)! >>> 0;
    else if (code === 0x06) return k;
    else if (code === 0x15) at += accumulator === k ? jt : jf;
    else if (code === 0x35) at += accumulator >= k ? jt : jf;
    else if (code === 0x45) at += (accumulator & k) !== 0 ? jt : jf;
    else assert.fail(`unknown instruction ${code}`);
  }
  return assert.fail('the program ran off its end');
}

const NUMBERS = {
  x64: {
    read: 0,
    write: 1,
    mmap: 9,
    futex: 202,
    execve: 59,
    socket: 41,
    connect: 42,
    sendmsg: 46,
    ptrace: 101,
    unshare: 272,
    clone: 56,
    prctl: 157,
    fork: 57,
  },
  arm64: {
    read: 63,
    write: 64,
    mmap: 222,
    futex: 98,
    execve: 221,
    socket: 198,
    connect: 203,
    sendmsg: 211,
    ptrace: 117,
    unshare: 97,
    clone: 220,
    prctl: 167,
    fork: undefined,
  },
} as const;

for (const arch of ['x64', 'arm64'] as const) {
  const nr = NUMBERS[arch];
  describe(`seccomp filter on ${arch}`, () => {
    it('lets pass what Node lives on', () => {
      for (const name of ['read', 'write', 'mmap', 'futex', 'execve'] as const)
        assert.equal(judge(arch, { nr: nr[name] }), SECCOMP_ALLOW, name);
    });
    it('refuses sockets, messages and processes', () => {
      for (const name of ['socket', 'connect', 'sendmsg'] as const)
        assert.equal(judge(arch, { nr: nr[name] }), SECCOMP_EPERM, name);
      if (nr.fork !== undefined) assert.equal(judge(arch, { nr: nr.fork }), SECCOMP_EPERM);
    });
    it('kills who reaches for other processes or namespaces', () => {
      for (const name of ['ptrace', 'unshare'] as const)
        assert.equal(judge(arch, { nr: nr[name] }), SECCOMP_KILL, name);
    });
    it('lets threads be made, and no processes', () => {
      const CLONE_THREAD = 0x10000;
      const SIGCHLD = 17;
      const CLONE_NEWUSER = 0x10000000;
      assert.equal(judge(arch, { nr: nr.clone, arg0: 0x3d0f00 | CLONE_THREAD }), SECCOMP_ALLOW);
      assert.equal(judge(arch, { nr: nr.clone, arg0: SIGCHLD }), SECCOMP_EPERM);
      assert.equal(judge(arch, { nr: nr.clone, arg0: CLONE_NEWUSER | SIGCHLD }), SECCOMP_EPERM);
    });
    it('lets threads be named, and keeps the signal at the death of the parent', () => {
      const PR_SET_NAME = 15;
      const PR_SET_PDEATHSIG = 1;
      assert.equal(judge(arch, { nr: nr.prctl, arg0: PR_SET_NAME }), SECCOMP_ALLOW);
      assert.equal(judge(arch, { nr: nr.prctl, arg0: PR_SET_PDEATHSIG }), SECCOMP_EPERM);
    });
    it('knows no call that is newer than its list', () => {
      const IO_URING_SETUP = 425;
      const CLONE3 = 435;
      const PIDFD_OPEN = 434;
      const FACCESSAT2 = 439;
      for (const newer of [424, IO_URING_SETUP, PIDFD_OPEN, CLONE3, 470, 600])
        assert.equal(judge(arch, { nr: newer }), SECCOMP_ENOSYS, String(newer));
      assert.equal(judge(arch, { nr: FACCESSAT2 }), SECCOMP_ALLOW);
      assert.equal(judge(arch, { nr: 423 }), SECCOMP_ALLOW);
    });
    it('kills calls of another architecture', () => {
      for (const audit of Object.values(AUDIT).filter((each) => each !== AUDIT[arch]))
        assert.equal(judge(arch, { nr: nr.read, audit }), SECCOMP_KILL);
    });
    it('fits the kernel: 8 bytes an instruction, 4096 at most', () => {
      const bytes = seccompFilter(arch);
      assert.equal(bytes.length, seccompProgram(arch).length * 8);
      assert.ok(bytes.length / 8 <= 4096);
    });
  });
}

it('x32 calls, which pass for x64, are killed', () => {
  assert.equal(judge('x64', { nr: 0x40000000 }), SECCOMP_KILL);
  assert.equal(judge('x64', { nr: 0x40000000 + NUMBERS.x64.read }), SECCOMP_KILL);
});

it('a machine without a list has no filter', () => {
  assert.equal(seccompArch('riscv64'), undefined);
  assert.equal(seccompArch('x64'), 'x64');
});
