import { startTestHost, type TestAccount, type TestHost } from '../test/host.ts';

export { archiveOf, deploy, ECHO, residentBytes } from '../test/host.ts';

/** isolambda as a user starts it: `isolambda serve`, jailed runners, tokens, quotas, metrics and logs on. */
export interface Product extends TestHost {
  /** A new account whose rate and concurrency don't get in the way of a load generator. */
  account(): Promise<TestAccount>;
}

export async function startProduct(flags: Readonly<Record<string, string>> = {}): Promise<Product> {
  const host = await startTestHost({ flags });
  return {
    ...host,
    account: () =>
      host.account({
        rate_per_s: 1e6,
        account_rate_per_s: 1e6,
        concurrency: 1_000,
        account_concurrency: 1_000,
        cpu_cores: 64,
      }),
  };
}
