/** Messages between the primary process and its workers. */
import type { GatewayConfig } from '../config/config.ts'
import type { GroupQuestion } from '../gateway/group.ts'
import type { FileState } from '../watched-files.ts'

/** Set for a worker that takes the place of one that died. */
export const REPLACEMENT_VARIABLE = 'WXGATE_WORKER_REPLACES'

/** A configuration with the states of its files before they were read. */
export interface ReadConfig {
  readonly config: GatewayConfig
  readonly files: readonly FileState[]
}

/** From a worker. `starting` asks for the current configuration, `config` reports a newly
 *  applied one. `answer` answers a question of the primary; `wanted` asks for the answers of the
 *  group. */
export type FromWorker =
  | { readonly type: 'starting' }
  | { readonly type: 'config'; readonly config: GatewayConfig }
  | { readonly type: 'listening'; readonly edge: string; readonly redirect?: string; readonly service: string }
  | { readonly type: 'ready'; readonly isReady: boolean }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly type: 'wanted'; readonly id: number; readonly question: GroupQuestion }

/** From the primary. `config` answers `starting`, `answers` answers `wanted`. `group` reports
 *  whether all workers are ready. */
export type FromPrimary =
  | ({ readonly type: 'config' } & ReadConfig)
  | { readonly type: 'drain' }
  | { readonly type: 'reload' }
  | { readonly type: 'group'; readonly isReady: boolean }
  | { readonly type: 'question'; readonly id: number; readonly question: GroupQuestion }
  | {
      readonly type: 'answers'
      readonly id: number
      readonly answers: readonly unknown[]
      /** Worker processes. */
      readonly running: number
    }

/** Set for workers only: the URL of the sandbox that they share. */
export const SANDBOX_VARIABLE = 'WXGATE_SANDBOX_URL'

export function isMessage(value: unknown): value is { type: string } {
  return typeof value === 'object' && value !== null && 'type' in value
}
