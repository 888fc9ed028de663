/**
 * The part of a logger that the capability uses: that of pino, and of loggers with its order of arguments. A method gets
 * the fields first, then the message.
 */
export interface HostLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export type HostLogLevel = keyof HostLog;
