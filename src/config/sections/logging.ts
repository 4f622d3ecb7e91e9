/** `logging`: the log on standard output. */
import type { Static } from '../../schema.ts'
import { Type } from '../../schema.ts'
import type { DeepReadonly } from '../section.ts'
import { flag, oneOf, percentage, section } from '../terms.ts'
import { fraction } from '../units.ts'

export const logging = section('The log, on standard output.', {
  level: {
    ...oneOf(
      'Least important messages that are written.',
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'info'
    ),
    'x-env': 'WXGATE_LOG_LEVEL'
  },
  access: flag('One line for every request.', true),
  format: Type.Optional(
    oneOf('Form of the lines. Default: `pretty` on a terminal, else `json`.', ['json', 'pretty', 'combined'])
  ),
  userAgent: flag('Writes User-Agent and Referer into the lines of `json` and `combined`. Clients choose both.', false),
  sample: percentage(
    'Share of the granted requests with a status below 400 that get a line. Refusals and failures always get one.',
    '100%'
  )
})

export type LoggingConfig = DeepReadonly<ReturnType<typeof resolveLogging>>

export function resolveLogging({ level, access, format, userAgent, sample }: Static<typeof logging>) {
  return {
    level,
    access,
    /** Null: pretty on a terminal, json elsewhere. */
    format: format ?? null,
    userAgent,
    /** From 0 to 1. */
    sample: fraction(sample)
  }
}
