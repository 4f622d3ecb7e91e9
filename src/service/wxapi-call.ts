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
  /** Limit of the bodies that are held in memory. */
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

const PREFIX = '/wxapi/'
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
      const entry = wxapiLimits.enter(caller.name, wxApp.appId)
      const leave = entry instanceof Promise ? await entry : entry
      if (presence.isGone) leave()
      else presence.whenGone(leave)
      const arriving = readBody(deps, admitted, { client, presence, held })
      const body = arriving instanceof Promise ? await arriving : arriving
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

/** One listener for all steps of a call, since each try adds some. A class: V8 keeps the getter of
 *  an object literal, and all that it reaches, until a full collection (docs/decisions/0008). */
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
  const { path } = target
  const end = path.indexOf('/', PREFIX.length)
  if (!path.startsWith(PREFIX) || end <= PREFIX.length) throw NO_PATH
  return [path.slice(PREFIX.length, end), path.slice(end)]
}

function judge(egress: EgressCapability, path: string, { target }: AdmittedRequest): void {
  const verdict = egress.judge(path, target.needs)
  if (verdict === 'credential') throw CREDENTIAL
  if (verdict === 'ambiguous') throw path === '/' ? NO_PATH : AMBIGUOUS
}

function mayCall({ wxapi }: Caller, path: string): boolean {
  return wxapi === null || wxapi.some((prefix) => covers(prefix, path))
}

/** The client's side of a call whose body is read. */
interface Sender {
  readonly client: ClientSide
  readonly presence: CallerPresence
  readonly held: HeldBytes
}

/** WeChat answers 412 to chunked requests, and a call may be repeated: the body is read
 *  completely first. A promise only for a body that has not arrived. */
function readBody(
  deps: WxapiDeps,
  { headers, method }: AdmittedRequest,
  sender: Sender
): Buffer | null | Promise<Buffer> {
  const length = headers.contentLength ?? 0
  if ((length === 0 && !headers.isChunked) || method === 'GET' || method === 'HEAD') return null
  if (length > MAX_BODY) throw TOO_LARGE
  const { client, presence, held } = sender
  if (presence.isGone) throw LEFT
  const { bodyIdleTimeout: idle } = deps.config.server.limits
  const body = readable(client.openBody({ limit: Number.POSITIVE_INFINITY, idle }))
  if (!Buffer.isBuffer(body)) return collect(body, deps, sender)
  const refusal = refusalOf(body.length, held)
  if (refusal !== null) throw refusal
  return body
}

async function collect(body: Readable, { clock }: WxapiDeps, { presence, held }: Sender): Promise<Buffer> {
  presence.whenGone(() => body.destroy(LEFT))
  const timer = clock.setTimeout(() => body.destroy(TOO_SLOW), BODY_TIMEOUT_MS)
  let refusal: ApiError | null = null
  try {
    const { head, rest } = await readAhead(body, (size) => {
      refusal = refusalOf(size, held)
      return refusal !== null
    })
    if (refusal === null) return head
    rest?.destroy()
    throw refusal
  } finally {
    clock.clearTimeout(timer)
  }
}

function refusalOf(size: number, held: HeldBytes): ApiError | null {
  return size > MAX_BODY ? TOO_LARGE : held.hold(size) ? null : NO_ROOM
}

function passOn(client: ClientSide, { status, headers, body }: EgressAnswer): void {
  const { head, rest } = body
  if (client.destroyed) {
    rest?.destroy()
    return
  }
  client.head(status, headers)
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
