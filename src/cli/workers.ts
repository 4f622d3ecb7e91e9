/** `server.workers`: several processes on one port. The primary serves no requests: it replaces
 *  dead workers, passes signals on, and collects for the group. */
import cluster, { type Worker } from 'node:cluster'
import type { Log } from '../telemetry/log.ts'
import { createGroupAnswers } from './group-answers.ts'
import type { ProcessIo } from './io.ts'
import {
  type FromPrimary,
  type FromWorker,
  isMessage,
  REPLACEMENT_VARIABLE,
  type ReadConfig,
  SANDBOX_VARIABLE
} from './worker-messages.ts'

/** A worker that dies earlier has a cause that will probably kill the next one too
 *  (milliseconds). */
const HEALTHY_AFTER = 10_000
/** Pause before a worker is replaced; doubled while workers keep dying (milliseconds). */
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 10_000
/** Time beyond a whole drain before a worker is killed (milliseconds). */
const STOP_SLACK = 2_000

export interface WorkersOptions {
  readonly count: number
  /** As it was read at the start. */
  readonly first: ReadConfig
  readonly io: ProcessIo
  readonly log: Log
  readonly sandboxUrl: string | null
}

/** Resolves with the exit status after a signal: 0, or 1 when no worker could start. */
export async function runWorkers(options: WorkersOptions): Promise<number> {
  const { count, io } = options
  const group = createGroup(options)
  for (let index = 0; index < count; index++) group.fork({ isReplacement: false })
  io.onHangup(group.reload)
  const outcome = await Promise.race([io.signalled(), group.failed])
  await group.stop(io.signalled())
  return outcome === 'failed' ? 1 : 0
}

interface Group {
  fork(options: { isReplacement: boolean }): void
  reload(): void
  /** Drains all workers; kills those that have not ended in time, or all of them once `again`
   *  resolves. */
  stop(again: Promise<unknown>): Promise<void>
  /** Resolves when a worker ended before any of them was listening. */
  readonly failed: Promise<'failed'>
}

function createGroup({ count, first, log, sandboxUrl }: WorkersOptions): Group {
  const ready = new Map<Worker, boolean>()
  /** While it starts, a worker answers no question. */
  const listening = new Set<Worker>()
  const group = createGroupAnswers()
  const failed = Promise.withResolvers<'failed'>()
  let inForce = first.config
  let pause = FIRST_PAUSE
  let isStopping = false
  let hasListened = false
  let hangups = 0
  // Readings hold maps and typed arrays, which JSON does not carry.
  cluster.setupPrimary({ serialization: 'advanced' })

  const workers = () => Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
  const tell = (worker: Worker, message: FromPrimary) => {
    if (worker.isConnected()) worker.send(message, () => {})
  }
  const tellAll = (message: FromPrimary) => {
    for (const worker of workers()) tell(worker, message)
  }
  const announce = () => tellAll({ type: 'group', isReady: ready.size === count && [...ready.values()].every(Boolean) })

  function fork({ isReplacement }: { isReplacement: boolean }): void {
    const startedAt = performance.now()
    const hangupsBefore = hangups
    const worker = cluster.fork({
      ...(sandboxUrl === null ? {} : { [SANDBOX_VARIABLE]: sandboxUrl }),
      ...(isReplacement ? { [REPLACEMENT_VARIABLE]: '1' } : {})
    })
    ready.set(worker, false)
    worker.on('error', () => {})
    worker.on('message', (value: unknown) => {
      if (!isMessage(value)) return
      void hear(worker, value as FromWorker)
      if (value.type !== 'listening') return
      // While it starts, a worker receives neither messages nor changes of the file.
      if (isStopping) tell(worker, { type: 'drain' })
      else if (isReplacement || hangups > hangupsBefore) tell(worker, { type: 'reload' })
    })
    worker.on('exit', (status, signal) => {
      ready.delete(worker)
      listening.delete(worker)
      if (isStopping) return
      announce()
      if (!hasListened) return failed.resolve('failed')
      if (performance.now() - startedAt > HEALTHY_AFTER) pause = FIRST_PAUSE
      log.error({ worker: worker.id, status, signal, pause }, 'a worker died and is replaced')
      setTimeout(() => {
        if (!isStopping) fork({ isReplacement: true })
      }, pause)
      pause = Math.min(pause * 2, LONGEST_PAUSE)
    })
  }

  async function hear(worker: Worker, message: FromWorker): Promise<void> {
    if (message.type === 'starting') tell(worker, { type: 'config', config: inForce, files: first.files })
    else if (message.type === 'config') inForce = message.config
    else if (message.type === 'ready') {
      ready.set(worker, message.isReady)
      announce()
    } else if (message.type === 'listening') {
      if (!hasListened) log.info({ ...message, type: undefined, workers: count }, 'wxgate is listening')
      hasListened = true
      listening.add(worker)
    } else if (message.type === 'answer') group.answered(message.id, message.answer)
    else {
      const { id, question } = message
      const asked = [...listening].map((one) => ({
        ask: (id: number) => tell(one, { type: 'question', id, question })
      }))
      tell(worker, { type: 'answers', id, answers: await group.collect(asked), running: ready.size })
    }
  }

  return {
    fork,
    failed: failed.promise,
    reload() {
      hangups++
      tellAll({ type: 'reload' })
    },
    async stop(again) {
      isStopping = true
      const gone = new Promise<void>((resolve) => {
        const check = () => {
          if (workers().length === 0) resolve()
        }
        cluster.on('exit', check)
        check()
      })
      tellAll({ type: 'drain' })
      const { delay, timeout } = inForce.server.drain
      const patience = new Promise((resolve) => setTimeout(resolve, delay + timeout + STOP_SLACK).unref())
      await Promise.race([gone, patience, again])
      for (const worker of workers()) worker.process.kill('SIGKILL')
    }
  }
}
