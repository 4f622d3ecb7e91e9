/** What the primary process and its workers say to one another. */
import type { GatewayConfig } from '../config/config.ts'

/** From a worker. `starting` asks for the configuration in force, `config` says that another one has been taken over.
 *  `metrics` carries prom-client's JSON in answer to the primary; `wanted` asks for everybody's text. */
export type FromWorker =
  | { readonly type: 'starting' }
  | { readonly type: 'config'; readonly config: GatewayConfig }
  | { readonly type: 'listening'; readonly edge: string; readonly service: string }
  | { readonly type: 'ready'; readonly isReady: boolean }
  | { readonly type: 'metrics'; readonly id: number; readonly json: unknown }
  | { readonly type: 'wanted'; readonly id: number }

/** From the primary. `config` answers a worker that is starting. `group` tells whether all workers are ready. */
export type FromPrimary =
  | { readonly type: 'config'; readonly config: GatewayConfig }
  | { readonly type: 'drain' }
  | { readonly type: 'reload' }
  | { readonly type: 'group'; readonly isReady: boolean }
  | { readonly type: 'metrics'; readonly id: number }
  | { readonly type: 'text'; readonly id: number; readonly text: string }

/** Set for workers only: where the sandbox is, which is one for all of them. */
export const SANDBOX_VARIABLE = 'WXGATE_SANDBOX_URL'

export function isMessage(value: unknown): value is { type: string } {
  return typeof value === 'object' && value !== null && 'type' in value
}
