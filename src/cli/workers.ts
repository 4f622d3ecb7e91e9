/** `server.workers`: several processes on one port. The primary serves nothing itself: it replaces workers that die, passes
 *  signals on, and speaks for the group. */
import cluster, { type Worker } from 'node:cluster'
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from 'prom-client'
import type { GatewayConfig } from '../config/config.ts'
import type { Log } from '../telemetry/log.ts'
import type { ProcessIo } from './io.ts'
import { type FromPrimary, type FromWorker, isMessage, SANDBOX_VARIABLE } from './worker-messages.ts'

/** A worker that lived shorter than this died of something that will kill the next one as well (milliseconds). */
const HEALTHY_AFTER = 10_000
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 10_000
/** Milliseconds in which workers answer for their metrics. */
const METRICS_PATIENCE = 1_000
/** Milliseconds beyond a whole drain before a worker is taken for stuck. */
const STOP_SLACK = 2_000

export interface WorkersOptions {
  readonly count: number
  readonly config: GatewayConfig
  readonly io: ProcessIo
  readonly log: Log
  readonly sandboxUrl: string | null
}

/** Resolves with the exit status after a signal: 0, or 1 when no worker could be started at all. */
export async function runWorkers({ count, config, io, log, sandboxUrl }: WorkersOptions): Promise<number> {
  const ready = new Map<Worker, boolean>()
  const collections = new Map<number, { jsons: unknown[]; missing: number; done: () => void }>()
  let nextCollection = 0
  let inForce = config
  let pause = FIRST_PAUSE
  let isStopping = false
  let hasListened = false
  let hangups = 0
  let fail: () => void = () => {}
  const failed = new Promise<'failed'>((resolve) => {
    fail = () => resolve('failed')
  })

  const workers = () => Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
  const tell = (worker: Worker, message: FromPrimary) => {
    if (worker.isConnected()) worker.send(message, () => {})
  }

  function announce(): void {
    const isReady = ready.size === count && [...ready.values()].every(Boolean)
    for (const worker of workers()) tell(worker, { type: 'group', isReady })
  }

  function fork({ isReplacement }: { isReplacement: boolean }): void {
    const startedAt = performance.now()
    const hangupsBefore = hangups
    const worker = cluster.fork(sandboxUrl === null ? {} : { [SANDBOX_VARIABLE]: sandboxUrl })
    ready.set(worker, false)
    worker.on('error', () => {})
    worker.on('message', (value: unknown) => {
      if (!isMessage(value)) return
      void hear(worker, value as FromWorker)
      if (value.type !== 'listening') return
      // Until now it was deaf: to a request to end, to one to read the file again, and to changes of the file.
      if (isStopping) tell(worker, { type: 'drain' })
      else if (isReplacement || hangups > hangupsBefore) tell(worker, { type: 'reload' })
    })
    worker.on('exit', (status, signal) => {
      ready.delete(worker)
      if (isStopping) return
      announce()
      if (!hasListened) return fail()
      if (performance.now() - startedAt > HEALTHY_AFTER) pause = FIRST_PAUSE
      log.error({ worker: worker.id, status, signal, pause }, 'a worker died and is replaced')
      setTimeout(() => {
        if (!isStopping) fork({ isReplacement: true })
      }, pause)
      pause = Math.min(pause * 2, LONGEST_PAUSE)
    })
  }

  async function hear(worker: Worker, message: FromWorker): Promise<void> {
    if (message.type === 'starting') tell(worker, { type: 'config', config: inForce })
    else if (message.type === 'config') inForce = message.config
    else if (message.type === 'ready') {
      ready.set(worker, message.isReady)
      announce()
    } else if (message.type === 'listening') {
      if (!hasListened) log.info({ ...message, type: undefined, workers: count }, 'wxgate is listening')
      hasListened = true
    } else if (message.type === 'metrics') {
      const collection = collections.get(message.id)
      if (!collection) return
      collection.jsons.push(message.json)
      if (--collection.missing === 0) collection.done()
    } else {
      tell(worker, { type: 'text', id: message.id, text: await collectMetrics() })
    }
  }

  async function collectMetrics(): Promise<string> {
    const id = nextCollection++
    const jsons: unknown[] = []
    const asked = workers()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, METRICS_PATIENCE)
      collections.set(id, {
        jsons,
        missing: asked.length,
        done: () => {
          clearTimeout(timer)
          resolve()
        }
      })
      for (const worker of asked) tell(worker, { type: 'metrics', id })
    })
    collections.delete(id)
    const own = `# HELP wxgate_workers Worker processes\n# TYPE wxgate_workers gauge\nwxgate_workers ${ready.size}\n`
    const registry = AggregatorRegistry.aggregate(jsons as MetricObjectWithValues<MetricValue<string>>[][])
    return `${await registry.metrics()}${own}`
  }

  for (let index = 0; index < count; index++) fork({ isReplacement: false })
  io.onHangup(() => {
    hangups++
    for (const worker of workers()) tell(worker, { type: 'reload' })
  })
  const outcome = await Promise.race([io.signalled(), failed])
  isStopping = true
  const gone = new Promise<void>((resolve) => {
    const check = () => {
      if (workers().length === 0) resolve()
    }
    cluster.on('exit', check)
    check()
  })
  for (const worker of workers()) tell(worker, { type: 'drain' })
  const { delay, timeout } = inForce.server.drain
  const patience = new Promise((resolve) => setTimeout(resolve, delay + timeout + STOP_SLACK).unref())
  await Promise.race([gone, patience, io.signalled()])
  for (const worker of workers()) worker.process.kill('SIGKILL')
  return outcome === 'failed' ? 1 : 0
}
