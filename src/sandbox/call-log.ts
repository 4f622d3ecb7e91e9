/** The newest 1,000 calls for tests, credentials masked. */
import type { SandboxRequest } from './request.ts'

const KEPT = 1000
const SECRET = /^(?:secret|appsecret|access_token|component_access_token|signature|pay_sig|session_key)$/i
const LONGEST = 200

export interface LoggedCall {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly method: string
  readonly path: string
  /** Query and top level of a JSON body. Credentials read `***`. */
  readonly params: Readonly<Record<string, unknown>>
  /** Names only. */
  readonly headers: readonly string[]
  /** Errcode of the answer; null for an answer other than WeChat's. */
  readonly errcode: number | null
  readonly fault: string | null
}

export interface CallLog {
  add(request: SandboxRequest, at: number, errcode: number | null, fault: string | null): void
  /** Oldest first. */
  list(path?: string): readonly LoggedCall[]
  /** Since the start or the last clear, dropped calls included. */
  counts(): { readonly total: number; readonly byPath: Readonly<Record<string, number>> }
  clear(): void
}

export function createCallLog(): CallLog {
  let calls: LoggedCall[] = []
  let total = 0
  const byPath = new Map<string, number>()

  return {
    add(request, at, errcode, fault) {
      total += 1
      // WeChat has fewer paths than this limit.
      if (byPath.has(request.path) || byPath.size < KEPT) byPath.set(request.path, (byPath.get(request.path) ?? 0) + 1)
      if (calls.length >= 2 * KEPT) calls = calls.slice(-KEPT)
      const { method, path, headers } = request
      calls.push({ at, method, path, params: mask(request), headers, errcode, fault })
    },

    list: (path) => calls.slice(-KEPT).filter((call) => path === undefined || call.path === path),

    counts: () => ({ total, byPath: Object.fromEntries(byPath) }),

    clear() {
      calls = []
      total = 0
      byPath.clear()
    }
  }
}

function mask(request: SandboxRequest): Record<string, unknown> {
  const entries = [...request.query, ...Object.entries(request.json ?? {})].slice(0, 50)
  return Object.fromEntries(entries.map(([name, value]) => [name, SECRET.test(name) ? '***' : shorten(value)]))
}

function shorten(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) return '{…}'
  return typeof value === 'string' && value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value
}
