/** The fixture of the attack corpus: `/admin` needs a token, everything else is public, and one
 *  upstream serves both. Each attack is sent as bytes with a harmless request after it, which must
 *  get its own answer or none. */
import type { Test } from 'tap'
import { buildTestGateway, type TestGateway, type TestGatewayOptions } from './gateway.ts'
import { exchange, type RawExchange } from './raw-client.ts'
import type { RawResponse } from './raw-response.ts'
import { type Seen, startUpstream, type TestUpstream } from './upstream.ts'

export const ROUTES = [
  { path: '/admin', upstream: 'app', auth: 'required' },
  { path: '/', upstream: 'app', auth: 'public' }
]

export interface Outcome {
  readonly status: number
  /** `code` of the problem body; the empty string for any other answer. */
  readonly code: string
  /** Undefined when the connection was closed without an answer. */
  readonly response: RawResponse | undefined
  /** The upstream's requests without the harmless one. */
  readonly seen: readonly Seen[]
  readonly exchange: RawExchange
}

export interface AttackOptions {
  /** The attack uses HEAD. */
  readonly isHead?: boolean
  readonly wait?: number
  /** Number of requests in the attack. */
  readonly requests?: number
}

export interface Target {
  readonly gateway: TestGateway
  readonly upstream: TestUpstream
  readonly token: string
  /** Sends the bytes and checks the rules of every attack: no 5xx, a problem body for every
   *  refusal, and a connection that is in step or closed. */
  attack(bytes: string | readonly string[], options?: AttackOptions): Promise<Outcome>
  /** GET of a target, with header lines. */
  get(target: string, ...lines: string[]): Promise<Outcome>
}

export async function startTarget(t: Test, options: TestGatewayOptions = {}): Promise<Target> {
  const upstream = await startUpstream(t, (req, res, seen) => {
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ url: req.url, body: seen.body }))
  })
  const gateway = await buildTestGateway(t, upstream.url, { ...options, config: { routes: ROUTES, ...options.config } })
  const { access_token: token } = await gateway.login('mallory')
  let canaries = 0

  async function attack(bytes: string | readonly string[], options: AttackOptions = {}): Promise<Outcome> {
    const { requests = 1 } = options
    const from = upstream.seen.length
    const canary = `/canary/${++canaries}`
    const harmless = `GET ${canary} HTTP/1.1\r\nHost: test\r\n\r\n`
    const parts = typeof bytes === 'string' ? [bytes + harmless] : [...bytes.slice(0, -1), bytes.at(-1) + harmless]
    const result = await exchange(gateway.port, parts, {
      count: requests + 1,
      ...(options.wait === undefined ? {} : { wait: options.wait }),
      bodiless: options.isHead ? [0] : []
    })
    const [response] = result.responses
    const seen = upstream.seen.slice(from).filter((request) => request.url !== canary)
    const label = JSON.stringify(typeof bytes === 'string' ? bytes : bytes.join('')).slice(0, 80)
    t.same(faultsOf(result, { requests, canary, isHead: options.isHead === true }), [], `in order: ${label}`)
    return { status: response?.status ?? 0, code: codeOf(response), response, seen, exchange: result }
  }

  return {
    gateway,
    upstream,
    token,
    attack,
    get: (target, ...lines) =>
      attack(`GET ${target} HTTP/1.1\r\nHost: test\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`)
  }
}

/** Faults that must never occur, whatever was sent. */
function faultsOf(
  { responses, rest, isClosed }: RawExchange,
  { requests, canary, isHead }: { requests: number; canary: string; isHead: boolean }
): string[] {
  const faults: string[] = []
  const [first] = responses
  const last = responses[requests]
  if (last) {
    if (last.status !== 200) faults.push(`the next request got ${last.status}`)
    if (!last.body.includes(`"url":"${canary}"`)) faults.push(`the next request got another's answer: ${last.body}`)
  } else {
    if (!isClosed) faults.push('the connection is open and silent')
    if (rest !== '') faults.push(`half an answer: ${rest}`)
  }
  for (const { status } of responses) if (status >= 500) faults.push(`answered ${status}`)
  if (first && first.status >= 400 && first.status !== 417 && !isHead) {
    const problem = first.body.startsWith('{')
      ? (JSON.parse(first.body) as { status?: number; request_id?: string })
      : {}
    if (!/^application\/problem\+json(?:;|$)/.test(first.header('content-type')))
      faults.push('a refusal that is no problem')
    if (problem.status !== first.status) faults.push('a problem with another status')
    if (!/^[0-9a-f]{32}$/.test(problem.request_id ?? '')) faults.push('a problem without request_id')
  }
  return faults
}

function codeOf(response: RawResponse | undefined): string {
  if (!response?.header('content-type').startsWith('application/problem+json') || response.body === '') return ''
  return (JSON.parse(response.body) as { code: string }).code
}

/** All values of a header that the upstream received, in this spelling or any that some server
 *  reads alike. */
export function valuesOf({ rawHeaders }: Pick<Seen, 'rawHeaders'>, name: string): string[] {
  const wanted = folded(name)
  return rawHeaders.flatMap((key, index) =>
    index % 2 === 0 && folded(key) === wanted ? [rawHeaders[index + 1] ?? ''] : []
  )
}

function folded(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-')
}
