/** Metrics of the calls that backends make to WeChat's API. */
import { Counter, type Registry } from 'prom-client'

/** `refused`: WeChat answered with an errcode or a status from 400. `limited`: beyond a limit of
 *  the gateway. `failed`: the remaining errors, for example no answer from WeChat. */
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

/** Calls by result that the metric does not have yet. */
type Uncounted = Record<WxapiResult, number>

/** @param errcodes Codes that the label tells apart. */
export function createWxapiMetrics(registry: Registry, errcodes: readonly number[]) {
  const known = new Set(errcodes)
  const registers = [registry]
  /** By app and caller. Finding the series of a call by its labels costs more than all else
   *  here. */
  const uncounted = new Map<string, Map<string, Uncounted>>()
  const calls = new Counter({
    name: 'wxgate_wxapi_calls_total',
    help: "Calls of backends to WeChat's API by app, service token and result",
    labelNames: ['app', 'caller', 'result'],
    registers,
    collect() {
      for (const [app, callers] of uncounted)
        for (const [caller, counts] of callers)
          for (const result of RESULTS) {
            if (counts[result] > 0) this.inc({ app, caller, result }, counts[result])
            counts[result] = 0
          }
    }
  })
  const refusals = new Counter({
    name: 'wxgate_wxapi_errcodes_total',
    help: "Answers of WeChat's API to backends with an errcode other than 0, by app and errcode",
    labelNames: ['app', 'errcode'],
    registers
  })

  function uncountedOf(app: string, caller: string): Uncounted {
    const ofApp = uncounted.get(app) ?? new Map<string, Uncounted>()
    uncounted.set(app, ofApp)
    const counts = ofApp.get(caller) ?? { ok: 0, refused: 0, limited: 0, failed: 0 }
    ofApp.set(caller, counts)
    return counts
  }

  return {
    calls,
    refusals,
    done(app: string, caller: string, result: WxapiResult, errcode: number | null) {
      uncountedOf(app, caller)[result] += 1
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
