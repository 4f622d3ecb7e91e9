/** The configuration of GET /v1/status: what is in force, and the last reload. */
import type { GatewayConfig } from '../../config/config.ts'
import { maskConfig } from '../../config/masked.ts'
import { type Static, Type } from '../../schema.ts'
import { closed, orNull, Text, Texts, Time, timeOf } from './terms.ts'

const Reload = closed(
  {
    at: Time,
    is_successful: Type.Boolean({ description: 'False: the configuration before it stays in force.' }),
    problems: Texts
  },
  'The last time the file was read again.'
)

export const Configuration = closed(
  {
    file: orNull(Text, 'Null without a file, as with `wxgate dev`.'),
    read_at: Time,
    content: Type.Unknown({
      description:
        'Every key with its value: durations in milliseconds, sizes in bytes, defaults filled in, secrets masked.'
    }),
    warnings: Type.Array(Text, { description: 'Of the configuration in force.' }),
    last_reload: orNull(Reload, 'Null before the first reload.')
  },
  'The configuration in force.'
)

/** Times are milliseconds since the epoch. */
export interface ConfigurationHistory {
  readonly file: string | null
  readonly readAt: number
  readonly warnings: readonly string[]
  readonly lastReload: {
    readonly at: number
    readonly isSuccessful: boolean
    readonly problems: readonly string[]
  } | null
}

export function describeConfiguration(
  config: GatewayConfig,
  { file, readAt, warnings, lastReload }: ConfigurationHistory
): Static<typeof Configuration> {
  return {
    file,
    read_at: timeOf(readAt),
    content: maskConfig(config),
    warnings: [...warnings],
    last_reload: lastReload && {
      at: timeOf(lastReload.at),
      is_successful: lastReload.isSuccessful,
      problems: [...lastReload.problems]
    }
  }
}
