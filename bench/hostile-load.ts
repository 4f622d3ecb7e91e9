/** The hostile part of a flood in a process of its own, so that the clients it is compared with do not wait for its answers
 *  to be read. Run by fork: each message asks for one measurement, and is answered with its result. */
import { kindsOf, prepare, WORST } from './bad-tokens.ts'
import { type PacedOptions, runPaced } from './paced-load.ts'

export interface HostileOrder extends Omit<PacedOptions, 'request' | 'status'> {
  readonly path: string
  /** A token that the gateway accepts, to make bad ones of. */
  readonly good: string
}

export interface HostileResult {
  readonly answered: number
  readonly failed: number
  readonly seconds: number
}

let request: ((n: number) => Buffer) | undefined

process.on('message', async ({ path, good, ...options }: HostileOrder) => {
  request ??= prepare(path, kindsOf(good)[WORST] ?? (() => undefined))
  const { answered, failed, seconds } = await runPaced({ ...options, request, status: 401 })
  process.send?.({ answered, failed, seconds } satisfies HostileResult)
})
