/** The hostile part of a flood, in a separate process, so that reading its answers does not
 *  delay the compared clients. Started by fork: each message asks for one measurement and is
 *  answered with its result. */
import { kindsOf, prepare } from './bad-tokens.ts'
import { type PacedOptions, quantile, runPaced } from './paced-load.ts'

export interface HostileOrder extends Omit<PacedOptions, 'request' | 'status'> {
  readonly path: string
  /** A name from {@link kindsOf}. */
  readonly kind: string
  /** An accepted token, from which the bad ones are made. */
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
