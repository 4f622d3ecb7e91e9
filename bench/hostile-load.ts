/** The hostile part of a flood in a process of its own, so that the clients it is compared with do not wait for its answers
 *  to be read. Run by fork: each message asks for one measurement, and is answered with its result. */
import { kindsOf, prepare } from './bad-tokens.ts'
import { type PacedOptions, quantile, runPaced } from './paced-load.ts'

export interface HostileOrder extends Omit<PacedOptions, 'request' | 'status'> {
  readonly path: string
  /** One of those of {@link kindsOf}. */
  readonly kind: string
  /** A token that the gateway accepts, to make bad ones of. */
  readonly good: string
}

export interface HostileResult {
  readonly answered: number
  readonly failed: number
  readonly seconds: number
  /** Milliseconds. */
  readonly p99: number
}

let prepared: { kind: string; request: (n: number) => Buffer } | undefined

process.on('message', async ({ path, kind, good, ...options }: HostileOrder) => {
  if (prepared?.kind !== kind) prepared = { kind, request: prepare(path, kindsOf(good)[kind] ?? (() => undefined)) }
  const { answered, failed, seconds, times } = await runPaced({ ...options, request: prepared.request, status: 401 })
  process.send?.({ answered, failed, seconds, p99: quantile(times, 0.99) } satisfies HostileResult)
})
