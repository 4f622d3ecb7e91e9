/** Examines a gateway before the attacks: its refusal, its service, and the headers that its
 *  upstream reports. */
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import type { Subject } from './case.ts'
import { toPem } from './corpus/forgery.ts'
import { fill, get } from './corpus/placeholders.ts'
import { createSample } from './corpus.ts'
import { type Answer, type Dial, exchange, headerOf } from './wire.ts'

export interface Facts {
  readonly subject: Subject
  readonly hasToken: boolean
  /** Refuses with problem bodies of wxgate. */
  readonly isWxgate: boolean
  /** Answer of the protected path without a token. */
  readonly refusal: Answer
  /** Answer of the protected path with the token; null without one. */
  readonly service: Answer | null
  /** The upstream's answers hold the headers that it received. */
  readonly isEcho: boolean
  /** The answers also hold the body. */
  readonly isBodyEcho: boolean
  /** The self-test plays the backend of the route. */
  readonly hasBackend: boolean
  /** Identity headers that the upstream received. */
  readonly identity: readonly string[]
  /** Fingerprints of the gateway's own answers, and those of the upstream's that differ. */
  readonly gatewayLooks: ReadonlySet<string>
  readonly upstreamLooks: ReadonlySet<string>
}

/** The target cannot be tested. `isUsage`: other arguments would help. */
export class Unsuitable extends Error {
  readonly isUsage: boolean

  constructor(message: string, isUsage: boolean) {
    super(message)
    this.isUsage = isUsage
  }
}

/** Highest number of requests of findFacts. */
export const FACT_REQUESTS = 10

const IDENTITY_NAMES = [
  'x-openid',
  'x-appid',
  'x-user-id',
  'x-session-id',
  'x-wx-openid',
  'x-wx-appid',
  'x-auth-request-user',
  'x-forwarded-user',
  'x-userinfo'
]

export interface FactOptions {
  readonly dial: Dial
  readonly host: string
  readonly route: string
  readonly token: string | null
  /** Milliseconds. */
  readonly timeout: number
  readonly canary: string
  readonly hasBackend: boolean
}

export async function findFacts({ hasBackend, ...options }: FactOptions): Promise<Facts> {
  const { dial, host, route, token, timeout, canary } = options
  const sample = createSample()
  const draft: Subject = { ...sample, host, route, canary, token: token ?? sample.token }
  let reason = 'no answer in time'
  const send = async (bytes: string): Promise<Answer | null> => {
    const { answers, failure } = await exchange(dial, bytes, { count: 1, timeout })
    if (failure !== '') reason = failure
    return answers[0] ?? null
  }
  const ask = (target: string, ...lines: string[]) => send(get(draft, target, ...lines, 'Connection: close'))
  const refusal = await ask(route)
  if (refusal === null) throw new Unsuitable(`${host} does not answer: ${reason}`, false)
  if (refusal.status !== 401 && refusal.status !== 403) {
    throw new Unsuitable(
      `without a token ${route} is answered ${refusal.status}, not 401: --route must be a path that asks for a token`,
      true
    )
  }
  const isWxgate = wxgateCode(refusal) !== null
  const garbled = await ask(route, 'Authorization: Bearer x')
  // Bytes other than HTTP do not reach an upstream.
  const garbage = await send('THIS IS NOT HTTP\r\n\r\n')
  const gatewayLooks = new Set([refusal, garbled, garbage].flatMap((answer) => (answer === null ? [] : [look(answer)])))
  const keys = await ask('/.well-known/jwks.json')
  const subject = { ...draft, publicKey: (keys === null ? null : publishedKey(keys)) ?? sample.publicKey }
  const elsewhere = await ask(`/${canary}`)
  const facts = { subject, isWxgate, refusal, gatewayLooks, hasBackend }
  const open = elsewhere !== null && elsewhere.status < 300 ? [elsewhere] : []
  if (token === null) {
    const upstreamLooks = looksOf(open, gatewayLooks)
    return { ...facts, hasToken: false, service: null, isEcho: false, isBodyEcho: false, identity: [], upstreamLooks }
  }
  const bearer = `Authorization: Bearer ${token}`
  const service = await ask(route, bearer)
  if (service === null || service.status === 401 || service.status === 403 || service.status >= 500) {
    const status = service === null ? 'not answered' : `answered ${service.status}`
    throw new Unsuitable(`with the token ${route} is ${status}: there is nothing to compare with`, service !== null)
  }
  const echo = await ask(route, bearer, `X-Wxgate-Selftest: ${canary}`)
  const missing = await ask(`${route === '/' ? '' : route}/${canary}`, bearer)
  const served = [...open, service, ...(missing === null ? [] : [missing])]
  const isEcho = echo?.body.includes(canary) ?? false
  const post = fill(`{POST}{auth}Content-Length: ${canary.length}\r\nConnection: close\r\n\r\n{canary}`, subject)
  const isBodyEcho = isEcho && ((await send(post))?.body.includes(canary) ?? false)
  return {
    ...facts,
    hasToken: true,
    service,
    isEcho,
    isBodyEcho,
    identity: isEcho ? identityNames(echo?.body ?? '') : [],
    upstreamLooks: looksOf(served, gatewayLooks)
  }
}

/** The `code` of a problem body of wxgate; null for any other answer. */
export function wxgateCode({ headers, body }: Answer): string | null {
  if (!headerOf(headers, 'content-type').startsWith('application/problem+json')) return null
  return /"type":"urn:wxgate:error:([a-z_]+)"/.exec(body)?.[1] ?? null
}

/** Fingerprint of the server that wrote an answer: its header names and a few of their values. */
export function look({ headers }: Answer): string {
  const names = headers.map(([name]) => name).filter((name) => !VARYING.has(name))
  const values = ['server', 'content-type', 'x-powered-by', 'via'].map((name) => headerOf(headers, name))
  return JSON.stringify([[...new Set(names)].sort(), values])
}

const VARYING = new Set([
  'connection',
  'keep-alive',
  'date',
  'content-length',
  'transfer-encoding',
  'allow',
  'retry-after'
])

export function identityNames(body: string): string[] {
  const lower = body.toLowerCase()
  return IDENTITY_NAMES.filter((name) => lower.includes(name))
}

function looksOf(answers: readonly Answer[], except: ReadonlySet<string>): Set<string> {
  return new Set(answers.map(look).filter((text) => !except.has(text)))
}

/** PEM of the first key of a JWK set (RFC 7517, section 5). */
function publishedKey({ status, body }: Answer): string | null {
  if (status !== 200) return null
  try {
    const { keys } = JSON.parse(body) as { keys?: JsonWebKey[] }
    const [key] = keys ?? []
    return key ? toPem(createPublicKey({ key, format: 'jwk' })) : null
  } catch {
    return null
  }
}
