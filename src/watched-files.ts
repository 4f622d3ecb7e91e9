/** Watches files by their state: editors and Kubernetes replace a file, and events of a file do not
 *  report a replacement. */
import { type BigIntStats, stat, statSync } from 'node:fs'

/** Interval between two checks of a file (milliseconds). */
const CHECK_INTERVAL = 500
/** A file written in several steps is read once it has not changed for this long (milliseconds). */
const SETTLE = 250
const ABSENT = ''

export interface FileState {
  /** Absolute. */
  readonly path: string
  /** Differs for other content and for another file under the path; empty for an absent file. */
  readonly state: string
}

export interface WatchedFiles {
  /** Watches exactly these. A difference from a given state counts as a change. */
  use(files: readonly FileState[]): void
  stop(): void
}

/** Take it before the file is read: then a change between both is found later. */
export function fileState(path: string): FileState {
  try {
    return { path, state: textOf(statSync(path, { bigint: true })) }
  } catch {
    return { path, state: ABSENT }
  }
}

/** @param onChange Called once for changes that follow one another. */
export function watchFiles(onChange: () => void): WatchedFiles {
  let watched = new Map<string, string>()
  let settling: NodeJS.Timeout | undefined
  let checking: NodeJS.Timeout | undefined

  function check(): void {
    const used = watched
    for (const path of used.keys())
      stat(path, { bigint: true }, (error, stats) => {
        // An absent file may be in the middle of its replacement.
        if (error || watched !== used) return
        const state = textOf(stats)
        if (used.get(path) === state) return
        used.set(path, state)
        clearTimeout(settling)
        settling = setTimeout(onChange, SETTLE)
        settling.unref()
      })
  }

  return {
    use(files) {
      watched = new Map(files.map(({ path, state }) => [path, state]))
      if (files.length > 0) checking ??= setInterval(check, CHECK_INTERVAL).unref()
    },
    stop() {
      clearTimeout(settling)
      clearInterval(checking)
      watched = new Map()
    }
  }
}

function textOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
}
