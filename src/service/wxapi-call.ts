/** Forwards a backend's call to api.weixin.qq.com with the app's access token. */
import type { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import { ApiError } from '../errors.ts'
import type { ByteBudget, HeldBytes } from '../http/body/byte-budget.ts'
import { readAhead } from '../http/body/read-ahead.ts'
import { readable } from '../http/body/streamed-body.ts'
import type { ClientSide } from '../http/client-side.ts'
import type { Guard } from '../http/guard.ts'
import { covers } from '../http/path/prefix.ts'
import type { AdmittedRequest } from '../http/request.ts'
import type { CallerPresence, EgressAnswer, EgressCall, EgressCapability } from '../platforms/port.ts'
import type { Platforms } from '../platforms/registry.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { WxapiResult } from '../telemetry/wxapi-metrics.ts'
import type { Audit } from './audit.ts'
import type { Caller } from './callers.ts'
import { expectApp, type SubjectDeps } from './subject.ts'
import type { WxapiLimits } from './wxapi-limits.ts'

export interface WxapiDeps extends Pick<SubjectDeps, 'findApp'> {
  readonly platforms: Pick<Platforms, 'require'>
  /** Room for the bodies that are held. */
  readonly heldBodies: ByteBudget
  readonly wxapiLimits: WxapiLimits
  readonly metrics: Pick<Metrics, 'wxapiDone'>
  readonly guard: Pick<Guard, 'toApiError'>
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  readonly config: { readonly server: { readonly limits: { readonly bodyIdleTimeout: number } } }
}

/** A call with a service token of the scope wxapi. */
export interface WxapiCall {
  readonly admitted: AdmittedRequest
  readonly caller: Caller
  readonly audit: Audit | null
}

/** Answers every call. */
export type ServeWxapi = (call: WxapiCall, client: ClientSide) => void

/** Bytes. The largest upload of WeChat's API is 10 MB. */
const MAX_BODY = 20 * 1024 * 1024
/** From the head of a call to the last byte of its body. */
const BODY_TIMEOUT_MS = 120_000

const NO_PATH = new ApiError('not_found', 'Name a path of api.weixin.qq.com after the appid.')
const AMBIGUOUS = new ApiError('bad_path', 'The path has more than one reading. Send it in its plain form.')
const CREDENTIAL = new ApiError('forbidden', 'The answer of this call is a credential, which stays in the gateway.')
const OTHER_PATH = new ApiError('forbidden', "The service token may not call this path of WeChat's API.")
const NO_ROOM = new ApiError('overloaded', 'The gateway holds too many bodies for WeChat. Try again shortly.')
const TOO_LARGE = new ApiError('body_too_large', 'A body for WeChat may have 20 MiB.')
const TOO_SLOW = new ApiError('request_timeout', 'The body of the call took more than two minutes.')
const LEFT = new ApiError('request_timeout', 'The caller closed the connection before the end of its body.')

export function createWxapi(deps: WxapiDeps): ServeWxapi {
  const { platforms, wxapiLimits, heldBodies, metrics, guard } = deps

  async function forward(call: WxapiCall, client: ClientSide): Promise<void> {
    const { admitted, caller, audit } = call
    const [appid, path] = placeOf(admitted)
    const pathApp = expectApp(deps, call, appid)
    const egress = platforms.require(pathApp.appId, 'egress')
    judge(egress, path, admitted)
    const { appId, query } = egress.chooseApp(admitted.target.query)
    const wxApp = appId === null ? pathApp : expectApp(deps, call, appId)
    if (!mayCall(caller, path)) throw OTHER_PATH
    if (audit) audit.path = path.slice(0, 200)
    const presence = new Presence(client)
    const held = heldBodies.open()
    const done = (result: WxapiResult, errcode: number | null = null) =>
      metrics.wxapiDone(wxApp.appId, caller.name, result, errcode)
    try {
      const leave = await wxapiLimits.enter(caller.name, wxApp.appId)
      if (presence.isGone) leave()
      else presence.whenGone(leave)
      const body = await readBody(deps, admitted, { client, presence, held })
      const { method, headers, record } = admitted
      const asked: EgressCall = {
        ...{ method, path, query, body, headers: headers.kept },
        ...{ requestId: record.requestId, caller: presence }
      }
      const answer = await platforms.require(wxApp.appId, 'egress').forward(wxApp, asked)
      done((answer.errcode ?? 0) === 0 && answer.status < 400 ? 'ok' : 'refused', answer.errcode)
      passOn(client, answer)
    } catch (error) {
      const known = guard.toApiError(error, admitted.record)
      done(resultOf(known))
      throw known
    } finally {
      held.release()
    }
  }

  return (call, client) => {
    forward(call, client).catch((cause: unknown) => {
      const { record } = call.admitted
      const error = guard.toApiError(cause, record)
      if (client.destroyed) return
      record.refused(error.code)
      client.refuse(error, record.requestId)
    })
  }
}

/** One listener for all steps of a call, since each try adds some. A class: V8 keeps the getter of an
 *  object literal, and all that it reaches, until a full collection (docs/decisions/0008). */
class Presence implements CallerPresence {
  readonly #client: ClientSide
  readonly #callbacks: (() => void)[] = []

  constructor(client: ClientSide) {
    this.#client = client
    client.onceClosed(() => {
      for (const callback of this.#callbacks) callback()
    })
  }

  get isGone(): boolean {
    return this.#client.destroyed
  }

  whenGone(callback: () => void): void {
    this.#callbacks.push(callback)
  }
}

function resultOf({ code }: ApiError): WxapiResult {
  return code === 'rate_limited' || code === 'overloaded' ? 'limited' : 'failed'
}

/** The appid, and the path of WeChat's API, of the canonical path. */
function placeOf({ target }: AdmittedRequest): [string, string] {
  const [, appid, path] = /^\/wxapi\/([^/]+)(\/.*)$/.exec(target.path) ?? []
  if (appid === undefined || path === undefined) throw NO_PATH
  return [appid, path]
}

function judge(egress: EgressCapability, path: string, { target }: AdmittedRequest): void {
  const verdict = egress.judge(path, target.needs)
  if (verdict === 'credential') throw CREDENTIAL
  if (verdict === 'ambiguous') throw path === '/' ? NO_PATH : AMBIGUOUS
}

function mayCall({ wxapi }: Caller, path: string): boolean {
  return wxapi === null || wxapi.some((prefix) => covers(prefix, path))
}

/** WeChat answers 412 to chunked requests, and a call may be repeated: the body is read
 *  completely first. */
async function readBody(
  { clock, config }: WxapiDeps,
  { headers, method }: AdmittedRequest,
  { client, presence, held }: { client: ClientSide; presence: CallerPresence; held: HeldBytes }
): Promise<Buffer | null> {
  const length = headers.contentLength ?? 0
  if ((length === 0 && !headers.isChunked) || method === 'GET' || method === 'HEAD') return null
  if (length > MAX_BODY) throw TOO_LARGE
  if (presence.isGone) throw LEFT
  const { bodyIdleTimeout: idle } = config.server.limits
  const body = readable(client.openBody({ limit: Number.POSITIVE_INFINITY, idle }))
  const refusalOf = (size: number) => (size > MAX_BODY ? TOO_LARGE : held.hold(size) ? null : NO_ROOM)
  if (Buffer.isBuffer(body)) {
    const refusal = refusalOf(body.length)
    if (refusal !== null) throw refusal
    return body
  }
  presence.whenGone(() => body.destroy(LEFT))
  const timer = clock.setTimeout(() => body.destroy(TOO_SLOW), BODY_TIMEOUT_MS)
  let refusal: ApiError | null = null
  try {
    const { head, rest } = await readAhead(body, (size) => {
      refusal = refusalOf(size)
      return refusal !== null
    })
    if (refusal === null) return head
    rest?.destroy()
    throw refusal
  } finally {
    clock.clearTimeout(timer)
  }
}

function passOn(client: ClientSide, { status, headers, body }: EgressAnswer): void {
  const { head, rest } = body
  if (client.destroyed) {
    rest?.destroy()
    return
  }
  client.head(status, [...headers])
  if (rest === null) client.end(head.length === 0 ? null : head)
  else stream(client, rest)
}

/** A failure ends the connection, so that half an answer never looks complete. */
function stream(client: ClientSide, rest: Readable): void {
  const drained = { onDrain: () => void rest.resume() }
  rest.on('data', (chunk: Buffer) => {
    if (!client.write(chunk, false, drained)) rest.pause()
  })
  rest.once('end', () => client.end(null))
  rest.once('error', () => client.abort())
  client.onceClosed(() => rest.destroy())
}
