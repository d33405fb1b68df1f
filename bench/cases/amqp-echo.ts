import { BIN } from '../../test/host.ts';
import { amqpEcho, type EchoFigures, type EchoResult } from '../amqp-echo.ts';
import type { BenchOptions } from '../main.ts';
import type { Row } from '../report.ts';
import { median } from '../statistics.ts';

const URL = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672';
/** Calls per second of a turn, about as many as each peer makes. */
const CALLS_PER_SECOND = 12_000;
const SINGLE_CALLS_PER_SECOND = 1_000;

/**
 * 11 bytes through `isolambda run`, as a user starts it, beside an echo on amqplib alone: 500 calls in flight, and 1. Beside both, that
 * echo with a bare process behind it: what is due to there being a second process at all.
 */
export async function amqpEchoCase({ pairs, seconds, say }: BenchOptions): Promise<Row[]> {
  const measure = async (callsPerSecond: number, inFlight: number): Promise<EchoResult> => {
    const result = await amqpEcho({
      url: URL,
      product: (queue) => [BIN, 'run', '-u', URL, '-q', queue],
      pairs,
      calls: Math.round(seconds * callsPerSecond),
      inFlight,
    });
    const told = ({ perSecond, p50Us }: EchoFigures): string => `${perSecond}/s, p50 ${p50Us} us`;
    say(`${inFlight} in flight: isolambda ${told(result.product)}; amqplib ${told(result.peer)}`);
    return result;
  };
  const many = await measure(CALLS_PER_SECOND, 500);
  const single = await measure(SINGLE_CALLS_PER_SECOND, 1);
  const row = (figure: string, unit: Row['unit'], samples: readonly number[]): Row => ({
    bench: 'amqp-echo',
    figure,
    unit,
    value: median(samples),
    samples,
  });
  return [
    row('calls per second, 500 in flight', 'per s', [many.product.perSecond]),
    {
      ...row('against amqplib, 500 in flight', 'x', many.againstPeer.rate),
      must: { least: 0.85 },
      aim: 1,
    },
    row('a bare process behind amqplib, 500 in flight', 'x', many.wallAgainstPeer.rate),
    row('p50, 1 in flight', 'us', [single.product.p50Us]),
    {
      ...row('p50 against amqplib, 1 in flight', 'x', single.againstPeer.p50),
      must: { most: 1.4 },
      aim: 1.2,
    },
    row('p50 of a bare process behind amqplib, 1 in flight', 'x', single.wallAgainstPeer.p50),
  ];
}
