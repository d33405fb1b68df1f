/**
 * `npm run bench -- --help`
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

const USAGE = `npm run bench -- [NAME...] [options]

  NAME               one of ${Object.keys(CASES).join(', ')}; all of them by default
  --pairs N          how often product and peers take turns (default: 5)
  --seconds N        length of one turn under load (default: 4)
  --generator NAME   ${GENERATORS.join(' or ')}, for load of many connections (default: ${defaultGenerator()})
  --json             the figures as JSON, instead of a table
  --help             this text

Figures are appended to bench/results.ndjson. Exit code: 0 where all bounds are met, 1 where one is not, 2 for wrong arguments.`;

const { values, positionals } = readArguments();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const unknown = positionals.filter((name) => !Object.hasOwn(CASES, name));
if (unknown.length > 0) refuse(`unknown bench ${unknown.join(', ')}`);
const generator =
  GENERATORS.find((name) => name === values.generator) ?? refuse(`unknown generator ${values.generator}`);
const [pairs, seconds] = [values.pairs, values.seconds].map(Number) as [number, number];
if (!(Number.isInteger(pairs) && pairs > 0)) refuse(`--pairs ${values.pairs} is no number of turns`);
if (!(seconds > 0)) refuse(`--seconds ${values.seconds} is no time`);

const rows: Row[] = [];
for (const name of positionals.length > 0 ? positionals : Object.keys(CASES)) {
  const say = (text: string): void => console.error(`${name}: ${text}`);
  rows.push(...(await CASES[name]!({ pairs, seconds, generator, say })));
}
keep(rows, new URL('results.ndjson', import.meta.url), generator);
console.log(values.json ? JSON.stringify(rows, null, 2) : `\n${table(rows)}`);
process.exitCode = rows.every(isMet) ? 0 : 1;

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        pairs: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '4' },
        generator: { type: 'string', default: defaultGenerator() },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function refuse(why: string): never {
  console.error(`${why}\n\n${USAGE}`);
  process.exit(2);
}
