import { BIN } from '../../test/host.ts';
import { amqpEcho } from '../amqp-echo.ts';
import type { BenchOptions } from '../main.ts';
import type { Row } from '../report.ts';
import { median } from '../statistics.ts';

const URL = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672';
/** Calls per second of a turn, about as many as each peer makes. */
const CALLS_PER_SECOND = 12_000;
const SINGLE_CALLS_PER_SECOND = 1_000;

/** 11 bytes through `isolambda run`, as a user starts it, beside an echo on amqplib alone: 500 calls in flight, and 1. */
export async function amqpEchoCase({ pairs, seconds, say }: BenchOptions): Promise<Row[]> {
  const product = (queue: string): string[] => [BIN, 'run', '-u', URL, '-q', queue];
  const many = await amqpEcho({
    url: URL,
    product,
    pairs,
    calls: Math.round(seconds * CALLS_PER_SECOND),
    inFlight: 500,
  });
  say(`500 in flight: isolambda ${many.product.perSecond}/s, amqplib ${many.peer.perSecond}/s`);
  const single = await amqpEcho({
    url: URL,
    product,
    pairs,
    calls: Math.round(seconds * SINGLE_CALLS_PER_SECOND),
    inFlight: 1,
  });
  say(`1 in flight: isolambda p50 ${single.product.p50Us} us, amqplib p50 ${single.peer.p50Us} us`);
  const bench = 'amqp-echo';
  return [
    {
      bench,
      figure: 'calls per second, 500 in flight',
      unit: 'per s',
      value: many.product.perSecond,
      samples: [many.product.perSecond],
    },
    {
      bench,
      figure: 'against amqplib, 500 in flight',
      unit: 'x',
      must: { least: 0.85 },
      aim: 1,
      value: median(many.rateRatios),
      samples: many.rateRatios,
    },
    {
      bench,
      figure: 'p50, 1 in flight',
      unit: 'us',
      value: single.product.p50Us,
      samples: [single.product.p50Us],
    },
    {
      bench,
      figure: 'p50 against amqplib, 1 in flight',
      unit: 'x',
      must: { most: 1.4 },
      aim: 1.2,
      value: median(single.p50Ratios),
      samples: single.p50Ratios,
    },
  ];
}
