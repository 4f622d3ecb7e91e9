/** What the primary process and its workers say to one another. */

/** From a worker. `metrics` carries prom-client's JSON in answer to the primary; `wanted` asks for everybody's text. */
export type FromWorker =
  | { readonly type: 'listening'; readonly edge: string; readonly service: string }
  | { readonly type: 'ready'; readonly isReady: boolean }
  | { readonly type: 'metrics'; readonly id: number; readonly json: unknown }
  | { readonly type: 'wanted'; readonly id: number }

/** From the primary. `group` tells whether all workers are ready. */
export type FromPrimary =
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
