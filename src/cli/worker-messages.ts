/** Messages between the primary process and its workers. */
import type { GatewayConfig } from '../config/config.ts'
import type { FileState } from '../watched-files.ts'

/** Set for a worker that takes the place of one that died. */
export const REPLACEMENT_VARIABLE = 'WXGATE_WORKER_REPLACES'

/** A configuration with the states of its files before they were read. */
export interface ReadConfig {
  readonly config: GatewayConfig
  readonly files: readonly FileState[]
}

/** From a worker. `starting` asks for the current configuration, `config` reports a newly
 *  applied one. `metrics` carries prom-client's JSON in answer to the primary; `wanted` asks for
 *  the text of the group. */
export type FromWorker =
  | { readonly type: 'starting' }
  | { readonly type: 'config'; readonly config: GatewayConfig }
  | { readonly type: 'listening'; readonly edge: string; readonly redirect?: string; readonly service: string }
  | { readonly type: 'ready'; readonly isReady: boolean }
  | { readonly type: 'metrics'; readonly id: number; readonly json: unknown }
  | { readonly type: 'wanted'; readonly id: number }

/** From the primary. `config` answers `starting`. `group` reports whether all workers are ready. */
export type FromPrimary =
  | ({ readonly type: 'config' } & ReadConfig)
  | { readonly type: 'drain' }
  | { readonly type: 'reload' }
  | { readonly type: 'group'; readonly isReady: boolean }
  | { readonly type: 'metrics'; readonly id: number }
  | { readonly type: 'text'; readonly id: number; readonly text: string }

/** Set for workers only: the URL of the sandbox that they share. */
export const SANDBOX_VARIABLE = 'WXGATE_SANDBOX_URL'

export function isMessage(value: unknown): value is { type: string } {
  return typeof value === 'object' && value !== null && 'type' in value
}
