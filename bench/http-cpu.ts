/**
 * CPU of host and runner for each echo request over HTTP, 64 connections: `node bench/http-cpu.ts [tree ...]`. Several
 * source trees (say, one before and one after a change) take turns, and each turn's figures stand beside those of the
 * first tree. Requests per second swing with the machine; what a request costs swings less. `CONNECTIONS`, `SECONDS`,
 * `TURNS` and `BODY_BYTES` as environment variables.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BODY } from './cases/http-echo.ts';
import { defaultGenerator, load } from './load.ts';
import type * as ProductModule from './product.ts';
import { median } from './statistics.ts';

const CONNECTIONS = Number(process.env['CONNECTIONS'] ?? 64);
const SECONDS = Number(process.env['SECONDS'] ?? 3);
const TURNS = Number(process.env['TURNS'] ?? 5);
const BODY_BYTES = Number(process.env['BODY_BYTES'] ?? 0);

interface Turn {
  /** Microseconds a request: of the host's main thread, of its others, of all the account's runner. */
  readonly hostMain: number;
  readonly hostOther: number;
  readonly runner: number;
}

class Tree {
  readonly path: string;
  readonly turns: Turn[] = [];
  readonly #product: ProductModule.Product;
  readonly #url: string;
  readonly #token: string;

  static async start(path: string): Promise<Tree> {
    const from = (await import(
      pathToFileURL(resolve(path, 'bench/product.ts')).href
    )) as typeof ProductModule;
    const product = await from.startProduct();
    const { token, api } = await product.account();
    const lambdaId = await from.deploy(api, from.ECHO);
    return new Tree(path, product, `${product.origin}/1/lambdas/${lambdaId}/proxy/main`, token);
  }

  constructor(path: string, product: ProductModule.Product, url: string, token: string) {
    this.path = path;
    this.#product = product;
    this.#url = url;
    this.#token = token;
  }

  async run(seconds: number): Promise<Turn> {
    const host = this.#product.process.pid!;
    const before = { host: threadsUs(host), runners: runnersUs(host) };
    const { perSecond, errors } = await load(
      {
        url: this.#url,
        connections: CONNECTIONS,
        seconds,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${this.#token}` },
        ...(BODY_BYTES > 0 ? { bodyBytes: BODY_BYTES } : { body: BODY }),
      },
      defaultGenerator(),
    );
    if (errors > 0) throw new Error(`${errors} requests failed`);
    const after = { host: threadsUs(host), runners: runnersUs(host) };
    const requests = perSecond * seconds;
    const all = sum(after.host) - sum(before.host);
    const main = (after.host.get(host) ?? 0) - (before.host.get(host) ?? 0);
    return {
      hostMain: main / requests,
      hostOther: (all - main) / requests,
      runner: (after.runners - before.runners) / requests,
    };
  }

  stop(): Promise<unknown> {
    return this.#product.stop();
  }
}

/** Microseconds of CPU by thread. */
function threadsUs(pid: number): Map<number, number> {
  const threads = new Map<number, number>();
  for (const name of readdirSync(`/proc/${pid}/task`)) {
    const [ns] = readFileSync(`/proc/${pid}/task/${name}/schedstat`, 'utf8').split(' ');
    threads.set(Number(name), Number(ns) / 1_000);
  }
  return threads;
}

/** Of all processes below the host. */
function runnersUs(host: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      parents.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It has just ended.
    }
  }
  const isBelow = (pid: number): boolean => {
    for (let at = parents.get(pid); at !== undefined && at > 0; at = parents.get(at))
      if (at === host) return true;
    return false;
  };
  let us = 0;
  for (const pid of parents.keys()) if (isBelow(pid)) us += sum(threadsUs(pid));
  return us;
}

const sum = (threads: Map<number, number>): number =>
  [...threads.values()].reduce((total, us) => total + us, 0);

const trees: Tree[] = [];
try {
  for (const path of process.argv.length > 2 ? process.argv.slice(2) : ['.'])
    trees.push(await Tree.start(path));
  for (const tree of trees) await tree.run(2);
  for (let turn = 1; turn <= TURNS; turn += 1) {
    for (const tree of trees) tree.turns.push(await tree.run(SECONDS));
    const base = trees[0]!.turns.at(-1)!;
    for (const { path, turns } of trees) {
      const now = turns.at(-1)!;
      console.log(
        `${turn}/${TURNS} ${path}: host ${now.hostMain.toFixed(1)} + ${now.hostOther.toFixed(1)} us (${(now.hostMain / base.hostMain).toFixed(3)}x), ` +
          `runner ${now.runner.toFixed(1)} us (${(now.runner / base.runner).toFixed(3)}x)`,
      );
    }
  }
  const base = trees[0]!.turns;
  for (const { path, turns } of trees) {
    const of = (figure: (turn: Turn) => number): string =>
      `${median(turns.map(figure)).toFixed(1)} (least ${Math.min(...turns.map(figure)).toFixed(1)})`;
    const against = (figure: (turn: Turn) => number): string =>
      median(turns.map((turn, index) => figure(turn) / figure(base[index]!))).toFixed(3);
    console.log(
      `${path}: host's main thread ${of((turn) => turn.hostMain)} us a request (${against((turn) => turn.hostMain)}x), ` +
        `its others ${of((turn) => turn.hostOther)} us, runner ${of((turn) => turn.runner)} us (${against((turn) => turn.runner)}x)`,
    );
  }
} finally {
  await Promise.all(trees.map((tree) => tree.stop()));
}
