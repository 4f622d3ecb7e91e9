/** The objects of Taro and uni-app over a `wx`, in a WeChat build. */
import { createRequire } from 'node:module'
import type { Wx } from '../../miniprogram/miniprogram_dist/index.d.ts'

const require = createRequire(import.meta.resolve('@tarojs/taro'))

/** Functions of a mini-program, and the constants that Taro's build puts in: parts of the DOM that
 *  are left out. */
const TARO_GLOBALS = {
  getCurrentPages: () => [],
  getApp: () => undefined,
  requirePlugin: () => undefined,
  ENABLE_INNER_HTML: false,
  ENABLE_ADJACENT_HTML: false,
  ENABLE_SIZE_APIS: false,
  ENABLE_TEMPLATE_CONTENT: false,
  ENABLE_CLONE_NODE: false,
  ENABLE_CONTAINS: false,
  ENABLE_MUTATION_OBSERVER: false
}

interface Callbacks {
  success?: (result: unknown) => void
  fail?: (failure: unknown) => void
  complete?: (result: unknown) => void
}

type Call = (options: Callbacks, ...more: unknown[]) => unknown

/** Taro's own code: its functions return promises besides calling back, and run interceptors. */
export function createTaro(wx: Wx): Wx & { addInterceptor(interceptor: (chain: TaroChain) => unknown): void } {
  Object.assign(globalThis, TARO_GLOBALS)
  const { processApis } = require('@tarojs/shared') as { processApis(taro: object, wx: object): void }
  const taro = Object.create((require('@tarojs/api') as { default: object }).default)
  processApis(taro, wx)
  return taro
}

export interface TaroChain {
  readonly requestParams: object
  proceed(params: object): PromiseLike<unknown>
}

export interface UniInterceptor {
  /** Runs before the call; the call waits for a promise. */
  invoke?(options: object): unknown
}

/** As uni-app's documentation describes `uni`: a call with a callback returns what wx returned, a
 *  call without one a promise; where an interceptor waits, a call with a callback returns a promise
 *  of it. */
export function createUni(wx: Wx): Wx & { addInterceptor(name: string, interceptor: UniInterceptor): void } {
  const interceptors = new Map<string, UniInterceptor>()
  const wrap =
    (name: string, call: Call): Call =>
    (options = {}, ...more) => {
      const start = (callbacks: Callbacks) => {
        const waiting = interceptors.get(name)?.invoke?.(callbacks)
        return waiting instanceof Promise ? waiting.then(() => call(callbacks, ...more)) : call(callbacks, ...more)
      }
      if (options.success || options.fail || options.complete) return start({ ...options })
      return new Promise((success, fail) => start({ ...options, success, fail }))
    }
  const isAsync = (name: string) => !/^(on|off|create)|Sync$|Manager$/.test(name)
  const functions = Object.entries(wx).map(([name, value]) => [
    name,
    typeof value === 'function' && isAsync(name) ? wrap(name, value.bind(wx)) : value
  ])
  const add = (name: string, interceptor: UniInterceptor) => void interceptors.set(name, interceptor)
  return Object.assign(Object.fromEntries(functions), { addInterceptor: add })
}
