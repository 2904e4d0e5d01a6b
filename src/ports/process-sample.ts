/** What the operating system says about this process at one moment (runtime/process-info.ts reads it). */
export interface ProcessSample {
  /** User and system time spent so far. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly virtualBytes: number;
  readonly openFds: number;
  /** Soft limit of open file descriptors; Infinity when there is none. */
  readonly maxFds: number;
  /** Unix time at which the process started. */
  readonly startTimeSeconds: number;
}
