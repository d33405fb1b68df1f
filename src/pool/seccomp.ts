/**
 * The runner's seccomp filter, as a classic BPF program in the form that bubblewrap's `--seccomp` reads
 * (struct sock_filter: u16 code, u8 jt, u8 jf, u32 k). See docs/decisions/runner-seccomp.md for what is in it and why.
 */
import {
  CLONE,
  FATAL,
  MODERN_ALLOWED,
  MODERN_FROM,
  PRCTL,
  PRCTL_ALLOWED,
  REFUSED,
  type SyscallTable,
} from './syscalls.ts';

export type SeccompArch = 'x64' | 'arm64';

/** AUDIT_ARCH_* of linux/audit.h. A 32-bit call has another architecture, and other numbers: it is fatal. */
const AUDIT_ARCH: Record<SeccompArch, number> = { x64: 0xc000003e, arm64: 0xc00000b7 };
const COLUMN: Record<SeccompArch, 0 | 1> = { x64: 0, arm64: 1 };
/** Bit of the x32 calls, which share x64's audit architecture. */
const X32_BIT = 0x40000000;
const CLONE_THREAD = 0x00010000;

export const SECCOMP_ALLOW = 0x7fff0000;
export const SECCOMP_KILL = 0x80000000;
export const SECCOMP_EPERM = 0x00050001;
export const SECCOMP_ENOSYS = 0x00050026;

// struct seccomp_data
const AT_NR = 0;
const AT_ARCH = 4;
const AT_ARG0_LOW = 16;

const LD_W_ABS = 0x20;
const JMP_JEQ_K = 0x15;
const JMP_JGE_K = 0x35;
const JMP_JSET_K = 0x45;
const RET_K = 0x06;

export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

const load = (offset: number): Instruction => ({ code: LD_W_ABS, jt: 0, jf: 0, k: offset });
const ret = (action: number): Instruction => ({ code: RET_K, jt: 0, jf: 0, k: action });
/** `then` runs where the test holds, and must end in a return; else the program goes on after it. */
function when(code: number, k: number, then: readonly Instruction[]): Instruction[] {
  if (then.length > 255) throw new RangeError(`a jump over ${then.length} instructions; the most is 255`);
  return [{ code, jt: 0, jf: then.length, k }, ...then];
}

/** The program, instruction by instruction; the first match decides. */
export function seccompProgram(arch: SeccompArch): Instruction[] {
  const column = COLUMN[arch];
  const each = (table: SyscallTable, action: number): Instruction[] =>
    Object.values(table).flatMap((numbers) => {
      const number = numbers[column];
      return number === null ? [] : when(JMP_JEQ_K, number, [ret(action)]);
    });
  const allowOnly = (values: Readonly<Record<string, number>>, otherwise: number): Instruction[] => [
    ...Object.values(values).flatMap((value) => when(JMP_JEQ_K, value, [ret(SECCOMP_ALLOW)])),
    ret(otherwise),
  ];
  return [
    load(AT_ARCH),
    { code: JMP_JEQ_K, jt: 1, jf: 0, k: AUDIT_ARCH[arch] },
    ret(SECCOMP_KILL),
    load(AT_NR),
    ...(arch === 'x64' ? when(JMP_JGE_K, X32_BIT, [ret(SECCOMP_KILL)]) : []),
    ...when(JMP_JGE_K, MODERN_FROM, allowOnly(MODERN_ALLOWED, SECCOMP_ENOSYS)),
    // Threads, but no processes. Only the low half of the flags has a meaning.
    ...when(JMP_JEQ_K, CLONE[column], [
      load(AT_ARG0_LOW),
      ...when(JMP_JSET_K, CLONE_THREAD, [ret(SECCOMP_ALLOW)]),
      ret(SECCOMP_EPERM),
    ]),
    ...when(JMP_JEQ_K, PRCTL[column], [load(AT_ARG0_LOW), ...allowOnly(PRCTL_ALLOWED, SECCOMP_EPERM)]),
    ...each(FATAL, SECCOMP_KILL),
    ...each(REFUSED, SECCOMP_EPERM),
    ret(SECCOMP_ALLOW),
  ];
}

/** The program as bytes, in this machine's order (both architectures are little-endian). */
export function seccompFilter(arch: SeccompArch): Buffer {
  const program = seccompProgram(arch);
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(({ code, jt, jf, k }, index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes[index * 8 + 2] = jt;
    bytes[index * 8 + 3] = jf;
    bytes.writeUInt32LE(k, index * 8 + 4);
  });
  return bytes;
}

/** Undefined where the filter does not know the machine: the jail is then refused rather than left without a filter. */
export function seccompArch(arch: string = process.arch): SeccompArch | undefined {
  return arch === 'x64' || arch === 'arm64' ? arch : undefined;
}
