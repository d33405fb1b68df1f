import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { BenchOptions } from '../main.ts';
import { deploy, ECHO, startProduct } from '../product.ts';
import type { Row } from '../report.ts';

const ACCOUNTS = 8;
const LAMBDAS = 16;
/** The spare that takes a used one's place has booted by then, and made its isolate. */
const SETTLED_MS = 2_000;

/** Proportional resident memory (PSS) that one more idle account costs, and one more lambda of an account. */
export async function density({ say }: BenchOptions): Promise<Row[]> {
  const product = await startProduct();
  try {
    await deploy((await product.account()).api, ECHO);
    const before = await settledPss(product.process.pid!);
    for (let n = 0; n < ACCOUNTS; n += 1) await deploy((await product.account()).api, ECHO);
    const withAccounts = await settledPss(product.process.pid!);
    const perAccount = (withAccounts - before) / ACCOUNTS;
    say(`${ACCOUNTS} accounts with a lambda each: ${perAccount.toFixed(1)} MB each`);
    const { api } = await product.account();
    await deploy(api, ECHO);
    const one = await settledPss(product.process.pid!);
    for (let n = 0; n < LAMBDAS; n += 1) await deploy(api, ECHO);
    const perLambda = ((await settledPss(product.process.pid!)) - one) / LAMBDAS;
    say(`${LAMBDAS} further lambdas of one account: ${perLambda.toFixed(2)} MB each`);
    return [
      {
        bench: 'density',
        figure: 'per idle account',
        value: perAccount,
        unit: 'MB',
        must: { most: 30 },
        aim: 20,
        samples: [perAccount],
      },
      {
        bench: 'density',
        figure: 'per further lambda',
        value: perLambda,
        unit: 'MB',
        must: { most: 3 },
        aim: 1.5,
        samples: [perLambda],
      },
    ];
  } finally {
    await product.stop();
  }
}

async function settledPss(root: number): Promise<number> {
  await pause(SETTLED_MS);
  return treePss(root);
}

/** PSS in MB of all runners below the host, spares and their jails among them; builders come and go, and are left out. */
function treePss(root: number): number {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), pid]);
    } catch {
      // It ended meanwhile.
    }
  }
  const below = (pid: number): number[] =>
    (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(root)
    .filter(isRunner)
    .reduce((sum, pid) => sum + pssOf(pid), 0);
}

function isRunner(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('runner.cjs');
  } catch {
    return false;
  }
}

function pssOf(pid: number): number {
  try {
    return (
      Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1_000
    );
  } catch {
    return 0;
  }
}
