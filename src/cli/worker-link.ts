/** A worker's connection to its primary. */
import cluster from 'node:cluster'
import { type FromPrimary, type FromWorker, isMessage, type ReadConfig } from './worker-messages.ts'

/** Time for the metrics of the group (milliseconds). */
const METRICS_TIMEOUT = 2_000

export interface WorkerLink {
  say(message: FromWorker): void
  /** The current configuration of the group. The file may hold another one, or an invalid one. */
  config(): Promise<ReadConfig>
  /** The metrics of the group, or this worker's own when the primary does not answer. */
  groupMetrics(own: () => Promise<string>): Promise<string>
  /** Answers the primary. `drain` is also called when the primary was killed. Call it once. */
  serve(hooks: { drain(): void; reload(): void; groupReady(isReady: boolean): void; metrics(): Promise<unknown> }): void
}

/** Null in a process that is not a worker. */
export function createWorkerLink(): WorkerLink | null {
  const { worker } = cluster
  if (!cluster.isWorker || !worker) return null
  const waiting = new Map<number, (text: string) => void>()
  let nextId = 0
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
          resolve({ config: message.config, files: message.files })
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
        const timer = setTimeout(() => own().then(give), METRICS_TIMEOUT)
        waiting.set(id, give)
        say({ type: 'wanted', id })
      })
    },
    serve(hooks) {
      worker.on('disconnect', () => {
        // Without this, Node ends a worker at the moment its primary is killed. The worker must
        // drain first: without a primary, no process replaces it or passes signals on.
        worker.exitedAfterDisconnect = true
        hooks.drain()
      })
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
