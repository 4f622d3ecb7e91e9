/** Metrics of the calls that backends make to WeChat's API. */
import { Counter, type Registry } from 'prom-client'

/** `refused`: WeChat answered with an errcode or a status from 400. `limited`: beyond a limit of the
 *  gateway. `failed`: the remaining errors, for example no answer from WeChat. */
const RESULTS = ['ok', 'refused', 'limited', 'failed'] as const
export type WxapiResult = (typeof RESULTS)[number]
/** Label `errcode` of a code that is not known. */
const OTHER_ERRCODE = 'other'

/** A service token. */
export interface WxapiCaller {
  readonly name: string
  readonly scopes: readonly string[]
  /** Null for every app. */
  readonly apps: readonly string[] | null
}

/** @param errcodes Codes that the label tells apart. */
export function createWxapiMetrics(registry: Registry, errcodes: readonly number[]) {
  const known = new Set(errcodes)
  const registers = [registry]
  const calls = new Counter({
    name: 'wxgate_wxapi_calls_total',
    help: "Calls of backends to WeChat's API by app, service token and result",
    labelNames: ['app', 'caller', 'result'],
    registers
  })
  const refusals = new Counter({
    name: 'wxgate_wxapi_errcodes_total',
    help: "Answers of WeChat's API to backends with an errcode other than 0, by app and errcode",
    labelNames: ['app', 'errcode'],
    registers
  })
  /** Looking a series up by its labels costs more than the rest of the count. */
  const counters = new Map<string, { inc(): void }>()

  function counterOf(app: string, caller: string, result: WxapiResult): { inc(): void } {
    const key = `${app} ${caller} ${result}`
    const counter = counters.get(key) ?? calls.labels({ app, caller, result })
    counters.set(key, counter)
    return counter
  }

  return {
    calls,
    refusals,
    done(app: string, caller: string, result: WxapiResult, errcode: number | null) {
      counterOf(app, caller, result).inc()
      if (errcode !== null && errcode !== 0)
        refusals.inc({ app, errcode: known.has(errcode) ? String(errcode) : OTHER_ERRCODE })
    },
    configured(apps: readonly { readonly appId: string }[], callers: readonly WxapiCaller[]) {
      const permitted = callers.filter(({ scopes }) => scopes.includes('wxapi'))
      for (const { appId: app } of permitted.length === 0 ? [] : apps) {
        for (const errcode of [...known, OTHER_ERRCODE]) refusals.inc({ app, errcode }, 0)
        for (const { name: caller } of permitted.filter((one) => one.apps?.includes(app) ?? true))
          for (const result of RESULTS) calls.inc({ app, caller, result }, 0)
      }
    }
  }
}
