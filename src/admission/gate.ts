import { TokenBucket } from './token-bucket.ts';

/** What an account or a lambda has in flight, and its rate. Made on first use, dropped when it is idle again. */
export class Gate {
  inFlight = 0;
  /** So many may be in flight, as the newest deployment says: whoever waits is let in by what is in force now. */
  most = 0;
  readonly bucket: TokenBucket;

  constructor(rate: number, nowMs: number) {
    this.bucket = new TokenBucket(rate, nowMs);
  }

  get hasRoom(): boolean {
    return this.inFlight < this.most;
  }
}
