/** The log: one JSON object a line to stdout, or something for a person to read. */
import type { Logger } from 'pino'

/** What the rest of the program may do with the log. Fields must never hold a credential. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>
