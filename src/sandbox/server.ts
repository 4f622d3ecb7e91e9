/** The sandbox of api.weixin.qq.com: its endpoints over HTTP, and /sandbox/* to control them. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Clock } from '../clock.ts'
import { createServer } from '../node-http.ts'
import { createAccessTokenOffice } from './access-tokens.ts'
import { type Answer, control, refuse } from './answers.ts'
import { createApiSignatures } from './api-signatures.ts'
import { createCallLog } from './call-log.ts'
import { createCodes } from './codes.ts'
import { type ControlledWorld, createControlEndpoints } from './control-endpoints.ts'
import { deliver } from './delivery.ts'
import { createFaultPlan, type Fault, isShape, type PlannedFault } from './faults.ts'
import { createPayEndpoints } from './pay/endpoints.ts'
import type { SandboxMerchant } from './pay/merchants.ts'
import { createPayWorld } from './pay/world.ts'
import { createPeople } from './people.ts'
import { createQuotas } from './quotas.ts'
import { readRequest, type SandboxRequest, text } from './request.ts'
import { createUserKeys } from './user-keys.ts'
import { createWeChatEndpoints } from './wechat-endpoints.ts'

export interface SandboxLog {
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

export interface SandboxOptions {
  readonly clock: Clock
  readonly log?: SandboxLog
  /** The known mini-programs and their secrets. Without it every appid is accepted with any
   *  secret that does not start with `wrong`. */
  readonly apps?: Iterable<{ readonly appid: string; readonly secret: string }>
  /** Merchants of the pay API. */
  readonly merchants?: readonly SandboxMerchant[]
  /** Milliseconds before every answer of a WeChat endpoint. */
  readonly latency?: number
}

export interface Sandbox {
  /** Port 0 takes a free one. */
  listen(port: number, host?: string): Promise<{ readonly url: string; readonly port: number }>
  /** Closes all connections. */
  close(): Promise<void>
  /** The same as the control endpoints, for tests in the same process. */
  readonly state: ControlledWorld
}

export function createSandbox(options: SandboxOptions): Sandbox {
  const { log, latency = 0 } = options
  const state = createState(options.clock, options.merchants ?? [])
  const answerPay = createPayEndpoints(state.pay)
  const answerApi = createWeChatEndpoints({ ...state, checkApp: createAppCheck(options.apps) })
  const answerWeChat = (request: SandboxRequest) => (isOfPay(request) ? answerPay(request) : answerApi(request))
  const answerControl = createControlEndpoints(state)

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await readRequest(incoming)
    if (!request) return
    response.setHeader('date', new Date(state.now()).toUTCString())
    const controlled = await answerControl(request)
    if (controlled) return deliver(response, controlled, null)
    if (latency > 0) await new Promise((resolve) => setTimeout(resolve, latency))
    if (isChunked(incoming)) return deliver(response, CHUNKED, null)
    const planned = state.faults.next(request.path, appIdOf(request))
    const answer = answerOrFault(request, planned)
    const fault = planned?.fault ?? faultOfCode(request)
    state.calls.add(request, state.now(), answer.errcode, fault?.kind ?? null)
    deliver(response, answer, fault)
  }

  function answerOrFault(request: SandboxRequest, planned: PlannedFault | null): Answer {
    if (planned?.fault.kind === 'errcode') {
      if (planned.after) answerWeChat(request)
      return refuse(planned.fault.errcode)
    }
    // Without `after` the call does not take effect.
    if (planned && !planned.after && isLost(planned.fault)) return NOTHING
    return answerWeChat(request)
  }

  function faultOfCode({ query, json }: SandboxRequest): Fault | null {
    return state.codes.faultOf(query.get('js_code') ?? text(json, 'code'))
  }

  const server = createServer({ keepAliveTimeout: 65_000 }, (incoming, response) => {
    response.on('error', () => response.destroy())
    handle(incoming, response).catch((error: unknown) => {
      log?.error({ reason: error instanceof Error ? error.message : 'unknown' }, 'The sandbox failed at a call')
      if (response.headersSent) response.destroy()
      else deliver(response, control(500, { error: 'the sandbox failed' }), null)
    })
  })
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
    else socket.destroy()
  })

  return {
    state,

    listen: (port, host = '127.0.0.1') =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.off('error', reject)
          server.on('error', (error) => log?.error({ reason: error.message }, 'The sandbox cannot accept connections'))
          const address = server.address() as AddressInfo
          const name = address.family === 'IPv6' ? `[${address.address}]` : address.address
          resolve({ url: `http://${name}:${address.port}`, port: address.port })
        })
      }),

    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

/** WeChat's front servers refuse every chunked request. */
const CHUNKED: Answer = { status: 412, contentType: 'text/html', body: '', errcode: null }

/** The sandbox plays both APIs at one address. */
function isOfPay({ path }: SandboxRequest): boolean {
  return path.startsWith('/v3/')
}

function isChunked({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined
}

const NOTHING: Answer = { status: 200, contentType: 'text/plain', body: '{}', errcode: null }

/** Faults that replace the whole answer. */
function isLost(fault: Fault): boolean {
  return !isShape(fault) && !['slow', 'drip', 'array'].includes(fault.kind)
}

function appIdOf({ query, json }: SandboxRequest): string | null {
  return query.get('appid') ?? (text(json, 'appid') || null)
}

function createAppCheck(apps: SandboxOptions['apps']): (appId: string, secret: string) => number {
  if (apps === undefined) return (_appId, secret) => (secret.startsWith('wrong') ? 40125 : 0)
  const secrets = new Map([...apps].map(({ appid, secret }) => [appid, secret]))
  return (appId, secret) => {
    const expected = secrets.get(appId)
    if (expected === undefined) return 40013
    return expected === secret ? 0 : 40125
  }
}

function createState(clock: Clock, merchants: readonly SandboxMerchant[]): ControlledWorld {
  let offset = 0
  const ahead: Clock = { ...clock, now: () => clock.now() + offset }
  const people = createPeople()
  const codes = createCodes(ahead)
  const accessTokens = createAccessTokenOffice(ahead)
  const userKeys = createUserKeys(ahead)
  const apiSignatures = createApiSignatures(ahead)
  const quotas = createQuotas(ahead)
  const faults = createFaultPlan()
  const calls = createCallLog()
  const pay = createPayWorld(ahead.now, merchants)
  return {
    people,
    codes,
    accessTokens,
    apiSignatures,
    userKeys,
    quotas,
    faults,
    calls,
    pay,
    now: ahead.now,
    advanceClock(by) {
      offset += by
    },
    reset() {
      offset = 0
      for (const part of [people, codes, accessTokens, apiSignatures, userKeys, quotas, faults, calls, pay])
        part.clear()
    }
  }
}
