/** A worker's end of the line to its primary. */
import cluster from 'node:cluster'
import type { GatewayConfig } from '../config/config.ts'
import { type FromPrimary, type FromWorker, isMessage } from './worker-messages.ts'

/** Milliseconds to wait for the metrics of the others. */
const PATIENCE = 2_000

export interface WorkerLink {
  say(message: FromWorker): void
  /** The configuration in force in the group; the file may hold another one by now, or none that is valid. */
  config(): Promise<GatewayConfig>
  /** The metrics of the whole group; this worker's own when the primary does not answer. */
  groupMetrics(own: () => Promise<string>): Promise<string>
  /** Answers what the primary asks. Called once. */
  serve(hooks: { drain(): void; reload(): void; groupReady(isReady: boolean): void; metrics(): Promise<unknown> }): void
}

/** Null in a process that is no worker. */
export function createWorkerLink(): WorkerLink | null {
  const { worker } = cluster
  if (!cluster.isWorker || !worker) return null
  const waiting = new Map<number, (text: string) => void>()
  let nextId = 0
  // A primary that is gone cannot be told anything; its end is seen by the disconnect.
  const say = (message: FromWorker) => {
    if (worker.isConnected()) worker.send(message, () => {})
  }

  return {
    say,
    config() {
      return new Promise((resolve) => {
        const hear = (value: unknown) => {
          if (!isMessage(value)) return
          const message = value as FromPrimary
          if (message.type !== 'config') return
          worker.off('message', hear)
          resolve(message.config)
        }
        worker.on('message', hear)
        say({ type: 'starting' })
      })
    },
    groupMetrics(own) {
      const id = nextId++
      return new Promise((resolve) => {
        const give = (text: string) => {
          waiting.delete(id)
          clearTimeout(timer)
          resolve(text)
        }
        const timer = setTimeout(() => own().then(give), PATIENCE)
        waiting.set(id, give)
        say({ type: 'wanted', id })
      })
    },
    serve(hooks) {
      // Without a primary nobody replaces workers or passes signals on.
      worker.on('disconnect', hooks.drain)
      worker.on('message', (value: unknown) => {
        if (!isMessage(value)) return
        const message = value as FromPrimary
        if (message.type === 'drain') hooks.drain()
        else if (message.type === 'reload') hooks.reload()
        else if (message.type === 'group') hooks.groupReady(message.isReady)
        else if (message.type === 'text') waiting.get(message.id)?.(message.text)
        else if (message.type === 'metrics')
          hooks.metrics().then((json) => say({ type: 'metrics', id: message.id, json }))
      })
    }
  }
}
