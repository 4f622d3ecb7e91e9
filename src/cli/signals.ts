/** Signals of the process. One that arrives during the start is kept until a command asks for
 *  it. */

export type EndSignal = 'SIGTERM' | 'SIGINT'

export interface Signals {
  /** Aborted at the first SIGTERM or SIGINT. */
  readonly stop: AbortSignal
  /** Resolves at the next SIGTERM or SIGINT. */
  signalled(): Promise<EndSignal>
  /** Keeps the first SIGHUP for `onHangup`. Without a listener it would end the process. */
  keepHangup(): void
  /** Calls `listener` at every SIGHUP. */
  onHangup(listener: () => void): void
}

interface SignalSource {
  on(signal: EndSignal | 'SIGHUP', listener: (signal: NodeJS.Signals) => void): unknown
}

export function createSignals(source: SignalSource): Signals {
  const stop = new AbortController()
  const waiting: ((signal: EndSignal) => void)[] = []
  const kept: EndSignal[] = []
  const hangupListeners: (() => void)[] = []
  let isHangupKept = false

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    source.on(signal, () => {
      stop.abort()
      if (waiting.length === 0) kept.push(signal)
      for (const resolve of waiting.splice(0)) resolve(signal)
    })
  }

  function keepHangup(): void {
    source.on('SIGHUP', () => {
      isHangupKept = hangupListeners.length === 0
      for (const listener of hangupListeners) listener()
    })
  }

  return {
    stop: stop.signal,
    signalled() {
      const signal = kept.shift()
      return signal === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(signal)
    },
    keepHangup,
    onHangup(listener) {
      hangupListeners.push(listener)
      if (isHangupKept) listener()
      isHangupKept = false
    }
  }
}
