/** What the host keeps across restarts. */
export interface Store {
  readonly dataDir: string;
  /** Waits for writes under way; idempotent. */
  close(): Promise<void>;
}
