/** Faults: their names, and the queue of planned ones. */

/** `errcode` replaces the answer. `lost` kinds replace the sent bytes. `shape` kinds alter a
 *  good answer. */
export type Fault =
  | { readonly kind: 'errcode'; readonly errcode: number }
  | { readonly kind: 'slow'; readonly ms: number }
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: LostFault }
  | { readonly kind: ShapeFault }

export type LostFault = (typeof LOST)[number]
export type ShapeFault = (typeof SHAPES)[number]

const LOST = ['hang', 'drip', 'html', 'empty', 'huge', 'reset', 'truncated', 'garbage', 'array'] as const
const SHAPES = [
  'no-openid',
  'bad-openid',
  'two-openids',
  'no-unionid',
  'empty-unionid',
  'no-session-key',
  'bad-session-key',
  'errcode-zero',
  'errcode-text',
  'bom',
  'json-type'
] as const

const MAX_DELAY = 600_000

/** Reads a fault from the start of `text`, optionally after `fault-`; `rest` follows the next
 *  `-`. Null without a fault. */
export function parseFault(text: string): { fault: Fault; rest: string } | null {
  const source = /^fault-(.+)$/.exec(text)?.[1] ?? text
  for (const kind of [...SHAPES, ...LOST]) {
    if (source === kind) return { fault: { kind }, rest: '' }
    if (source.startsWith(`${kind}-`)) return { fault: { kind }, rest: source.slice(kind.length + 1) }
  }
  const numbered = /^(errcode-|slow-|status-|(?=-?\d))(-?\d{1,9})(?:-(.+))?$/.exec(source)
  if (!numbered) return null
  const [, word, digits, rest = ''] = numbered
  const number = Number(digits)
  // A bare number counts only after the word fault.
  if (word === '' && source === text) return null
  if (word === 'slow-') return { fault: { kind: 'slow', ms: Math.min(Math.max(number, 0), MAX_DELAY) }, rest }
  if (word !== 'status-') return { fault: { kind: 'errcode', errcode: number }, rest }
  return number >= 200 && number <= 599 ? { fault: { kind: 'status', status: number }, rest } : null
}

export function isShape(fault: Fault): fault is { readonly kind: ShapeFault } {
  return (SHAPES as readonly string[]).includes(fault.kind)
}

/** Every word, for messages and the control endpoint. */
export const FAULT_WORDS: readonly string[] = ['errcode-N', 'slow-MS', 'status-N', ...LOST, ...SHAPES]

export interface PlannedFault {
  /** A path of the WeChat API, or `*`. */
  readonly path: string
  readonly fault: Fault
  readonly appId: string | null
  /** Number of calls that it affects; Infinity until it is removed. */
  readonly times: number
  /** Number of calls that pass before the first. */
  readonly skip: number
  /** The call takes effect (a code is spent, a key rotated); only its answer is lost. */
  readonly after: boolean
}

export interface FaultPlan {
  add(planned: PlannedFault): void
  /** Takes the fault for this call; null without one. */
  next(path: string, appId: string | null): PlannedFault | null
  list(): readonly PlannedFault[]
  clear(): void
}

const MAX_PLANNED = 1000

export function createFaultPlan(): FaultPlan {
  let plan: { planned: PlannedFault; skip: number; left: number }[] = []

  return {
    add(planned) {
      if (plan.length >= MAX_PLANNED) plan.shift()
      plan.push({ planned, skip: planned.skip, left: planned.times })
    },

    next(path, appId) {
      for (const entry of plan) {
        const { planned } = entry
        if (planned.path !== '*' && planned.path !== path) continue
        if (planned.appId !== null && planned.appId !== appId) continue
        if (entry.skip > 0) {
          entry.skip -= 1
          continue
        }
        entry.left -= 1
        if (entry.left <= 0) plan = plan.filter((other) => other !== entry)
        return planned
      }
      return null
    },

    list: () => plan.map(({ planned, skip, left }) => ({ ...planned, skip, times: left })),

    clear() {
      plan = []
    }
  }
}

/** Alters the JSON of a good answer. */
export function bend(shape: ShapeFault, body: string): string {
  if (shape === 'bom') return `\uFEFF${body}`
  const fields = JSON.parse(body) as Record<string, unknown>
  switch (shape) {
    case 'no-openid':
      delete fields.openid
      break
    case 'bad-openid':
      fields.openid = 'o spaced\r\nX-Evil: 1'
      break
    case 'two-openids':
      return `{"openid":"o-somebody-else",${body.slice(1)}`
    case 'no-unionid':
      delete fields.unionid
      break
    case 'empty-unionid':
      fields.unionid = ''
      break
    case 'no-session-key':
      delete fields.session_key
      break
    case 'bad-session-key':
      fields.session_key = 'bm90IDE2IGJ5dGVz'
      break
    case 'errcode-zero':
      return JSON.stringify({ ...fields, errcode: 0, errmsg: 'ok' })
    case 'errcode-text':
      return JSON.stringify({ ...fields, errcode: '0', errmsg: 'ok' })
    case 'json-type':
      break
  }
  return JSON.stringify(fields)
}
