/** When the configuration was read, its warnings, and the result of the last reload. */
import { basename } from 'node:path'
import type { Clock } from '../clock.ts'

/** The file of a configuration. */
export interface ConfigFile {
  /** Absolute path. */
  readonly file: string
  /** Lines of the routes. */
  readonly routeLines: readonly number[]
  readonly warnings: readonly string[]
}

export interface ReloadResult {
  readonly isSuccessful: boolean
  /** The faults of a configuration that was not taken over. */
  readonly problems: readonly string[]
}

export interface ConfigHistory {
  /** Null for a configuration without a file. */
  readonly file: string | null
  /** Milliseconds since the epoch, when the configuration in force was read. */
  readonly readAt: number
  readonly warnings: readonly string[]
  /** Place of a route, such as `gateway.yaml:14`, by its index. Null where no line is known. */
  placeOf(index: number): string | null
  readonly lastReload: (ReloadResult & { readonly at: number }) | null
  /** A new configuration is in force. */
  taken(source: Omit<ConfigFile, 'file'>): void
  reloaded(result: ReloadResult): void
}

export interface ConfigHistoryOptions {
  readonly clock: Pick<Clock, 'now'>
  readonly source: ConfigFile | null
  readonly onReload: (isSuccessful: boolean) => void
}

export function createConfigHistory({ clock, source, onReload }: ConfigHistoryOptions): ConfigHistory {
  let inForce: Omit<ConfigFile, 'file'> = source ?? { routeLines: [], warnings: [] }
  let readAt = clock.now()
  let lastReload: ConfigHistory['lastReload'] = null
  return {
    file: source === null ? null : source.file,
    get readAt() {
      return readAt
    },
    get warnings() {
      return inForce.warnings
    },
    placeOf(index) {
      const line = inForce.routeLines[index]
      return source === null || line === undefined ? null : `${basename(source.file)}:${line}`
    },
    get lastReload() {
      return lastReload
    },
    taken(next) {
      inForce = next
      readAt = clock.now()
    },
    reloaded(result) {
      lastReload = { ...result, at: clock.now() }
      onReload(result.isSuccessful)
    }
  }
}
