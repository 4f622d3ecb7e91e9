/** The state that the pages share: the latest status, the samples of the last minutes. */
import { createContext } from 'preact'
import { useCallback, useContext, useEffect, useState } from 'preact/hooks'
import type { Api } from './api.ts'
import { type Connection, followSamples } from './live.ts'
import type { Sample, StatusAnswer } from './model.ts'

export interface ConsoleState {
  readonly api: Api
  /** Null until the first answer. */
  readonly status: StatusAnswer | null
  readonly samples: readonly Sample[]
  readonly connection: Connection
  /** Shows a message and has it read out. */
  readonly announce: (message: string) => void
  readonly refresh: () => void
}

const STATUS_EVERY_MS = 5000
const KEPT_SAMPLES = 300

export const ConsoleContext = createContext<ConsoleState | null>(null)

export function useConsole(): ConsoleState {
  const state = useContext(ConsoleContext)
  if (state === null) throw new Error('no console state')
  return state
}

export function useConsoleState(api: Api, announce: (message: string) => void): ConsoleState {
  const [status, setStatus] = useState<StatusAnswer | null>(null)
  const [samples, setSamples] = useState<readonly Sample[]>([])
  const [connection, setConnection] = useState<Connection>('connecting')

  const refresh = useCallback(() => {
    // A failure leaves the former status in place. The stream shows that the connection is lost.
    api.get<StatusAnswer>('v1/status').then(setStatus, () => {})
  }, [api])

  useEffect(
    () =>
      followSamples({
        onSample: (sample) => setSamples((before) => [...before.slice(1 - KEPT_SAMPLES), sample]),
        onConnection: setConnection,
        onRefused: refresh
      }),
    [refresh]
  )
  useEffect(() => {
    refresh()
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') refresh()
    }, STATUS_EVERY_MS)
    return () => clearInterval(timer)
  }, [refresh])

  return { api, status, samples, connection, announce, refresh }
}
