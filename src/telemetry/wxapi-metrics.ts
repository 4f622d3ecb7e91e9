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

type ResultCounters = Readonly<Record<WxapiResult, { inc(): void }>>

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
  /** By app and caller. Looking a series up by its labels costs more than the rest of the count. */
  const counters = new Map<string, Map<string, ResultCounters>>()

  function countersOf(app: string, caller: string): ResultCounters {
    const ofApp = counters.get(app) ?? new Map<string, ResultCounters>()
    counters.set(app, ofApp)
    const known = ofApp.get(caller)
    if (known !== undefined) return known
    const of = (result: WxapiResult) => calls.labels({ app, caller, result })
    const found = { ok: of('ok'), refused: of('refused'), limited: of('limited'), failed: of('failed') }
    ofApp.set(caller, found)
    return found
  }

  return {
    calls,
    refusals,
    done(app: string, caller: string, result: WxapiResult, errcode: number | null) {
      countersOf(app, caller)[result].inc()
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
