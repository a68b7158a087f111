/** For {@link metrics}. */
export interface MetricsOptions {
  /** The format of the text. Default `'prometheus'`. */
  readonly format?: 'prometheus' | 'openmetrics';
}
