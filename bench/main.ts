/**
 * `npm run bench -- [NAME...] [--pairs N] [--seconds N] [--generator wrk|autocannon] [--json]`
 * Runs the named benchmarks (all by default), product and peers in turn, prints a table of medians of ratios,
 * and appends every figure to bench/results.ndjson.
 */
import { parseArgs } from 'node:util';
import { amqpEchoCase } from './cases/amqp-echo.ts';
import { coldStart } from './cases/cold-start.ts';
import { density } from './cases/density.ts';
import { deployTime } from './cases/deploy.ts';
import { httpEcho } from './cases/http-echo.ts';
import { httpLarge } from './cases/http-large.ts';
import { httpLatency } from './cases/http-latency.ts';
import { logFlood } from './cases/log-flood.ts';
import { neighbour } from './cases/neighbour.ts';
import { registry } from './cases/registry.ts';
import { defaultGenerator, GENERATORS, type Generator } from './load.ts';
import { isMet, keep, table, type Row } from './report.ts';

export interface BenchOptions {
  /** How often product and peers take turns. */
  readonly pairs: number;
  /** Length of one turn under load. */
  readonly seconds: number;
  /** What sends the load of many connections. */
  readonly generator: Generator;
  readonly say: (text: string) => void;
}

const CASES: Readonly<Record<string, (options: BenchOptions) => Promise<Row[]>>> = {
  'http-echo': httpEcho,
  'http-latency': httpLatency,
  'http-large': httpLarge,
  'amqp-echo': amqpEchoCase,
  'cold-start': coldStart,
  deploy: deployTime,
  density,
  neighbour,
  registry,
  'log-flood': logFlood,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pairs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    generator: { type: 'string', default: defaultGenerator() },
    json: { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((name) => !Object.hasOwn(CASES, name));
if (unknown.length > 0) {
  console.error(`unknown bench ${unknown.join(', ')}: there are ${Object.keys(CASES).join(', ')}`);
  process.exit(2);
}
const generator = GENERATORS.find((name) => name === values.generator);
if (generator === undefined) {
  console.error(`unknown generator ${values.generator}: there are ${GENERATORS.join(', ')}`);
  process.exit(2);
}

const rows: Row[] = [];
for (const name of positionals.length > 0 ? positionals : Object.keys(CASES)) {
  const say = (text: string): void => console.error(`${name}: ${text}`);
  rows.push(
    ...(await CASES[name]!({
      pairs: Number(values.pairs),
      seconds: Number(values.seconds),
      generator,
      say,
    })),
  );
}
keep(rows, new URL('results.ndjson', import.meta.url), generator);
console.log(values.json ? JSON.stringify(rows, null, 2) : `\n${table(rows)}`);
process.exitCode = rows.every(isMet) ? 0 : 1;
