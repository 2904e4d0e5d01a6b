/** Structured fields of a log line. Never a token, password or other secret. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The logger every room is given; levels follow syslog (debug 7, info 6, warning 4, error 3). */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
