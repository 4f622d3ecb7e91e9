/** Watches files by their state: editors and Kubernetes replace a file, and events of a file do not
 *  report a replacement. */
import { unwatchFile, watchFile } from 'node:fs'

/** Interval between two checks of a file (milliseconds). */
const CHECK_INTERVAL = 500
/** A file written in several steps is read once it has not changed for this long (milliseconds). */
const SETTLE = 250

export interface WatchedFiles {
  /** Watches exactly these.
   *  @param files Absolute paths. */
  use(files: readonly string[]): void
  stop(): void
}

/** @param onChange Called once for changes that follow one another. */
export function watchFiles(onChange: () => void): WatchedFiles {
  let watched: ReadonlySet<string> = new Set()
  let settling: NodeJS.Timeout | undefined

  const onState = (now: { mode: number }) => {
    // Mode 0: the file is absent for a moment while it is replaced.
    if (now.mode === 0) return
    clearTimeout(settling)
    settling = setTimeout(onChange, SETTLE)
    settling.unref()
  }

  function use(files: readonly string[]): void {
    const next = new Set(files)
    for (const file of watched) if (!next.has(file)) unwatchFile(file, onState)
    for (const file of next)
      if (!watched.has(file)) watchFile(file, { interval: CHECK_INTERVAL, persistent: false }, onState)
    watched = next
  }

  return {
    use,
    stop() {
      clearTimeout(settling)
      use([])
    }
  }
}
