/** The event stream of samples. It is open only while the page is visible. */
import type { Sample } from './model.ts'

export type Connection = 'connecting' | 'live' | 'paused' | 'lost'

interface LiveDeps {
  readonly onSample: (sample: Sample) => void
  readonly onConnection: (connection: Connection) => void
  /** Called when the server refuses the stream. The reason is found by another call. */
  readonly onRefused: () => void
}

const STREAM = 'v1/status/events'
const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 15_000

/** @returns Ends it. */
export function followSamples({ onSample, onConnection, onRefused }: LiveDeps): () => void {
  let source: EventSource | null = null
  let waitMs = FIRST_WAIT_MS
  let timer: ReturnType<typeof setTimeout> | undefined

  function open(): void {
    close()
    onConnection('connecting')
    const opened = new EventSource(STREAM)
    source = opened
    opened.addEventListener('open', () => {
      waitMs = FIRST_WAIT_MS
      onConnection('live')
    })
    opened.addEventListener('sample', (event) => onSample(JSON.parse(event.data) as Sample))
    opened.addEventListener('error', () => {
      onConnection('lost')
      // The browser opens a stream again that broke. It gives up after a refusal.
      if (opened.readyState !== EventSource.CLOSED) return
      onRefused()
      timer = setTimeout(open, waitMs)
      waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2)
    })
  }

  function close(): void {
    clearTimeout(timer)
    source?.close()
    source = null
  }

  function follow(): void {
    if (document.visibilityState === 'visible') {
      open()
      return
    }
    close()
    onConnection('paused')
  }

  document.addEventListener('visibilitychange', follow)
  follow()
  return () => {
    document.removeEventListener('visibilitychange', follow)
    close()
  }
}
