/** `logging`: the log on standard output. */
import type { Static } from '../../schema.ts'
import { Type } from '../../schema.ts'
import type { DeepReadonly } from '../section.ts'
import { flag, oneOf, section } from '../terms.ts'

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
  )
})

export type LoggingConfig = DeepReadonly<ReturnType<typeof resolveLogging>>

export function resolveLogging({ level, access, format }: Static<typeof logging>) {
  return {
    level,
    access,
    /** Null: pretty on a terminal, json elsewhere. */
    format: format ?? null
  }
}
