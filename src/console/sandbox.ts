/** POST /console/v1/sandbox/call: log in as a user of the sandbox and send a request to the edge,
 *  as a mini-program would. */
import { request as sendByTls } from 'node:https'
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { type IncomingMessage, request as sendPlain } from '../node-http.ts'
import { type Static, Type } from '../schema.ts'
import { readHeaderLine } from '../service/explain.ts'

const Body = Type.Object(
  {
    user: Type.String({ pattern: '^[A-Za-z0-9_]{1,64}$' }),
    appid: Type.Optional(Type.String({ maxLength: 64 })),
    method: Type.String({ pattern: '^[A-Z]{1,16}$' }),
    path: Type.String({ pattern: '^/[\\x21-\\x7e]*$', maxLength: 8192 }),
    headers: Type.Optional(Type.Array(Type.String({ maxLength: 16_384 }), { maxItems: 64 })),
    body: Type.Optional(Type.String({ maxLength: 128 * 1024 }))
  },
  { additionalProperties: false }
)

export type SandboxCall = Static<typeof Body>

interface UpstreamRequest {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly headers: readonly (readonly [string, string])[]
}

interface EdgeAddress {
  readonly host: string
  readonly port: number
  readonly is_tls: boolean
}

export interface SandboxCallsDeps {
  /** Address of the edge; null until it listens. */
  edge(): EdgeAddress | null
  explain(request: {
    readonly method: string
    readonly target: string
    readonly rawHeaders: readonly string[]
    readonly from: string
  }): { readonly upstream: UpstreamRequest | null }
}

export interface SandboxCalls {
  call(request: SandboxCall): Promise<object>
}

const TIMEOUT_MS = 15_000
const MAX_ANSWER_BYTES = 64 * 1024
const NOT_SENT = new ApiError('invalid_request', 'The request could not be sent. Check its method and headers.')
const NO_ANSWER = new ApiError('upstream_unavailable', 'The edge gave no answer within 15 seconds.')
const STARTING = new ApiError('overloaded', 'The edge does not listen yet.')

export function addSandboxCalls(scope: FastifyInstance, calls: SandboxCalls): void {
  scope.post<{ Body: SandboxCall }>('/sandbox/call', { schema: { hide: true, body: Body } }, async (request, reply) => {
    reply.header('cache-control', 'no-store')
    return calls.call(request.body)
  })
}

export function createSandboxCalls({ edge, explain }: SandboxCallsDeps): SandboxCalls {
  return {
    async call({ user, appid, method, path, headers = [], body }) {
      const address = edge()
      if (address === null) throw STARTING
      const login = await ask(address, {
        method: 'POST',
        path: '/auth/login',
        headers: ['content-type', 'application/json'],
        body: JSON.stringify({ code: `sandbox-${user}`, ...(appid === undefined ? {} : { appid }) })
      })
      const token = tokenOf(login.body)
      if (token === null) return { login: { status: login.status, body: login.body }, answer: null, received: null }
      const own = [...headers.flatMap(readHeaderLine), 'authorization', `Bearer ${token}`]
      const answer = await ask(address, { method, path, headers: own, body: body ?? null })
      const { upstream } = explain({ method, target: path, rawHeaders: own, from: '127.0.0.1' })
      const { name, ...received } = upstream ?? { name: null }
      // The token stays here: the page has no use for it.
      return {
        login: { status: login.status, body: login.body.replaceAll(/("(?:access|refresh)_token":")[^"]*/g, '$1***') },
        answer,
        received: name === null ? null : { upstream: name, ...received }
      }
    }
  }
}

interface Sent {
  readonly method: string
  readonly path: string
  /** Name and value in turns. */
  readonly headers: readonly string[]
  readonly body: string | null
}

interface Answer {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
  readonly is_truncated: boolean
}

function ask({ is_tls: isTls, ...address }: EdgeAddress, sent: Sent): Promise<Answer> {
  const { method, path, body } = sent
  return new Promise((resolve, reject) => {
    const headers = pairs(sent.headers)
    const hasHost = headers.some(([name]) => name.toLowerCase() === 'host')
    const all = hasHost ? headers : [['Host', `${address.host}:${address.port}`] as const, ...headers]
    const length = body === null ? [] : [['Content-Length', String(Buffer.byteLength(body))] as const]
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const outgoing = { ...address, method, path, signal, agent: false, headers: [...all, ...length].flat() }
    try {
      const read = (response: IncomingMessage) => readAnswer(response).then(resolve, reject)
      // The certificate is that of this gateway itself, and need not name the address.
      const secure = { ...outgoing, rejectUnauthorized: false }
      const request = isTls ? sendByTls(secure, read) : sendPlain(outgoing, read)
      request.once('error', () => reject(NO_ANSWER))
      request.end(body ?? undefined)
    } catch {
      // Node refuses the method, the path or a header.
      reject(NOT_SENT)
    }
  })
}

function readAnswer(response: IncomingMessage): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const finish = () => {
      const text = Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES).toString()
      const isTruncated = bytes > MAX_ANSWER_BYTES
      const status = response.statusCode ?? 0
      resolve({ status, headers: pairs(response.rawHeaders), body: text, is_truncated: isTruncated })
    }
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes <= MAX_ANSWER_BYTES) return
      finish()
      response.destroy()
    })
    response.once('end', finish).once('error', () => reject(NO_ANSWER))
  })
}

function pairs(list: readonly string[]): [string, string][] {
  return list.flatMap((name, index): [string, string][] => (index % 2 === 0 ? [[name, list[index + 1] ?? '']] : []))
}

function tokenOf(body: string): string | null {
  try {
    const { access_token: token } = JSON.parse(body) as { access_token?: unknown }
    return typeof token === 'string' ? token : null
  } catch {
    return null
  }
}
