import { TokenBucket } from './token-bucket.ts';

/** What an account or a lambda has in flight, and its rate. Made on first use, dropped when it is idle again. */
export class Gate {
  inFlight = 0;
  readonly bucket: TokenBucket;

  constructor(rate: number, nowMs: number) {
    this.bucket = new TokenBucket(rate, nowMs);
  }
}
