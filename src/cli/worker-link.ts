/** A worker's connection to its primary. */
import cluster from 'node:cluster'
import type { GroupLink, GroupQuestion } from '../gateway/group.ts'
import { type FromPrimary, type FromWorker, isMessage, type ReadConfig } from './worker-messages.ts'

/** Time for the answers of the group (milliseconds). */
const GROUP_TIMEOUT = 2_000

export interface WorkerLink extends GroupLink {
  say(message: FromWorker): void
  /** The current configuration of the group. The file may hold another one, or an invalid one. */
  config(): Promise<ReadConfig>
  /** Answers the primary. `drain` is also called when the primary was killed. Call it once. */
  serve(hooks: WorkerHooks): void
}

export interface WorkerHooks {
  drain(): void
  reload(): void
  groupReady(isReady: boolean): void
  answer(question: GroupQuestion): Promise<unknown>
}

/** Null in a process that is not a worker. */
export function createWorkerLink(): WorkerLink | null {
  const { worker } = cluster
  if (!cluster.isWorker || !worker) return null
  const waiting = new Map<number, (told: Awaited<ReturnType<GroupLink['ask']>>) => void>()
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
    ask(question) {
      const id = nextId++
      return new Promise((resolve) => {
        const give = (told: Awaited<ReturnType<GroupLink['ask']>>) => {
          waiting.delete(id)
          clearTimeout(timer)
          resolve(told)
        }
        const timer = setTimeout(give, GROUP_TIMEOUT, null)
        waiting.set(id, give)
        say({ type: 'wanted', id, question })
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
        else if (message.type === 'answers') waiting.get(message.id)?.(message)
        else if (message.type === 'question')
          hooks.answer(message.question).then(
            (answer) => say({ type: 'answer', id: message.id, answer }),
            // The primary goes on without it.
            () => {}
          )
      })
    }
  }
}
