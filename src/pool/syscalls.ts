/**
 * System calls that a runner never needs, by name, with their numbers on x64 and arm64 (null: the machine has none
 * of that name). Numbers are the kernel's `asm/unistd_64.h` and `asm-generic/unistd.h`; they never change.
 * Whatever stands in neither list, and has a number below MODERN_FROM, is allowed.
 */

export type SyscallTable = Readonly<Record<string, readonly [x64: number | null, arm64: number | null]>>;

/**
 * Nothing in Node, V8, libuv or glibc calls these in a runner: who does has taken it over. The process dies.
 * They are the doors of past kernel holes, and of other processes and namespaces.
 */
export const FATAL: SyscallTable = {
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  kcmp: [312, 272],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  swapon: [167, 224],
  swapoff: [168, 225],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  keyctl: [250, 219],
  add_key: [248, 217],
  request_key: [249, 218],
  userfaultfd: [323, 282],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  create_module: [174, null],
  query_module: [178, null],
  unshare: [272, 97],
  setns: [308, 268],
  reboot: [169, 142],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  adjtimex: [159, 171],
  clock_adjtime: [305, 266],
  acct: [163, 89],
  quotactl: [179, 60],
  nfsservctl: [180, 42],
  syslog: [103, 116],
  vhangup: [153, 58],
  iopl: [172, null],
  ioperm: [173, null],
  modify_ldt: [154, null],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  lookup_dcookie: [212, 18],
  fanotify_init: [300, 262],
  fanotify_mark: [301, 263],
  uselib: [134, null],
  ustat: [136, null],
  sysfs: [139, null],
  _sysctl: [156, null],
  vserver: [236, null],
};

/** Answered with EPERM: a library might try these and copes without, or a tenant's code could reach them by Node's own ways. */
export const REFUSED: SyscallTable = {
  // New sockets of any family. The inherited descriptor 3 needs only read, write, shutdown and getsockopt.
  socket: [41, 198],
  socketpair: [53, 199],
  connect: [42, 203],
  bind: [49, 200],
  listen: [50, 201],
  accept: [43, 202],
  accept4: [288, 242],
  // Also closes the passing of descriptors over descriptor 3.
  sendto: [44, 206],
  recvfrom: [45, 207],
  sendmsg: [46, 211],
  recvmsg: [47, 212],
  sendmmsg: [307, 269],
  recvmmsg: [299, 243],
  // New processes and programs. `clone` is judged by its flags; `execve` must stay: bubblewrap starts Node with it.
  fork: [57, null],
  vfork: [58, null],
  execveat: [322, 281],
  // Memory that does not count as resident memory of the process.
  memfd_create: [319, 279],
  shmget: [29, 194],
  shmat: [30, 196],
  shmctl: [31, 195],
  shmdt: [67, 197],
  semget: [64, 190],
  semop: [65, 193],
  semctl: [66, 191],
  semtimedop: [220, 192],
  msgget: [68, 186],
  msgsnd: [69, 189],
  msgrcv: [70, 188],
  msgctl: [71, 187],
  mq_open: [240, 180],
  mq_unlink: [241, 181],
  mq_timedsend: [242, 182],
  mq_timedreceive: [243, 183],
  mq_notify: [244, 184],
  mq_getsetattr: [245, 185],
  mlock: [149, 228],
  mlock2: [325, 284],
  mlockall: [151, 230],
  // Kernel surface without a use here.
  inotify_init: [253, null],
  inotify_init1: [294, 26],
  inotify_add_watch: [254, 27],
  personality: [135, 92],
  io_setup: [206, 0],
  io_submit: [209, 2],
  io_destroy: [207, 1],
  io_getevents: [208, 4],
  io_cancel: [210, 3],
  io_pgetevents: [333, 292],
  move_pages: [279, 239],
  migrate_pages: [256, 238],
  mbind: [237, 235],
  set_mempolicy: [238, 237],
  get_mempolicy: [239, 236],
  splice: [275, 76],
  tee: [276, 77],
  vmsplice: [278, 75],
  remap_file_pages: [216, 234],
  rt_sigqueueinfo: [129, 138],
  rt_tgsigqueueinfo: [297, 240],
  seccomp: [317, 277],
  mknod: [133, null],
  mknodat: [259, 33],
  // Identity.
  setuid: [105, 146],
  setgid: [106, 144],
  setreuid: [113, 145],
  setregid: [114, 143],
  setresuid: [117, 147],
  setresgid: [119, 149],
  setgroups: [116, 159],
  setfsuid: [122, 151],
  setfsgid: [123, 152],
  capset: [126, 91],
};

/**
 * From here on numbers are the same on every machine, and a kernel newer than this list adds to them: only those in
 * MODERN_ALLOWED pass, the others answer ENOSYS, which every library takes as "an older kernel". So clone3, whose flags a
 * filter can't see, falls back to clone; and io_uring, pidfd_*, the new mount calls and landlock are closed.
 */
export const MODERN_FROM = 424;
export const MODERN_ALLOWED: Readonly<Record<string, number>> = {
  close_range: 436,
  faccessat2: 439,
  epoll_pwait2: 441,
  futex_waitv: 449,
  map_shadow_stack: 453,
  futex_wake: 454,
  futex_wait: 455,
  futex_requeue: 456,
  mseal: 462,
};

export const CLONE: readonly [number, number] = [56, 220];
export const PRCTL: readonly [number, number] = [157, 167];

/** `prctl` operations that glibc and V8 use to name threads and mappings. Without PR_SET_PDEATHSIG a runner can't outlive its host. */
export const PRCTL_ALLOWED: Readonly<Record<string, number>> = {
  PR_GET_DUMPABLE: 3,
  PR_SET_NAME: 15,
  PR_GET_NAME: 16,
  PR_SET_VMA: 0x53564d41,
};
