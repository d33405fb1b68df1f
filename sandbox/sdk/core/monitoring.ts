/** A point of the lambda's own monitoring: a series, its tags, and the measured fields. */
export class CustomMonitoringPoint {
  /** The name of the series that the point belongs to. */
  readonly series: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, number | string | boolean>>;
  /** Epoch milliseconds. */
  readonly time: number;

  constructor(point: {
    readonly series: string;
    readonly tags?: Readonly<Record<string, string>>;
    readonly fields: Readonly<Record<string, number | string | boolean>>;
    readonly time?: number;
  }) {
    this.series = point.series;
    this.tags = point.tags ?? {};
    this.fields = point.fields;
    this.time = point.time ?? Date.now();
  }
}
