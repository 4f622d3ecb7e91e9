/** Judges the answers to a case. */
import { type Case, type Expected, REFUSING_5XX, type Refused, type Relayed, type Served } from './case.ts'
import { type Facts, identityNames, look, wxgateCode } from './facts.ts'
import { type Answer, type Exchange, headerOf } from './wire.ts'

export interface Verdict {
  readonly outcome: 'passed' | 'failed' | 'unknown'
  /** Empty when passed. */
  readonly reason: string
}

const PASSED: Verdict = { outcome: 'passed', reason: '' }
const failed = (reason: string): Verdict => ({ outcome: 'failed', reason })
const unknown = (reason: string): Verdict => ({ outcome: 'unknown', reason })

/** The missing condition of a case; null when it can be judged. */
export function unmetNeed({ needs }: Case, { hasToken, isEcho, hasBackend }: Facts): string | null {
  if (needs === undefined) return null
  if (!hasToken) return 'needs --token'
  if (needs === 'backend') return hasBackend ? null : 'needs --backend'
  return needs === 'echo' && !isEcho ? 'needs a route whose upstream answers with the headers it received' : null
}

export function expectationsOf({ expected, row }: Case): readonly Expected[] {
  return expected ?? [row.expected]
}

export function judge(attack: Case, result: Exchange, facts: Facts): Verdict {
  const { answers, isConnected, isClosed, rest } = result
  const expectations = expectationsOf(attack)
  if (!isConnected) return unknown('no connection could be made')
  if (answers.some(({ status }) => status === 429)) return unknown('answered 429: try again with a higher rate limit')
  if (answers.length > expectations.length + (attack.isFollowed ? 1 : 0))
    return failed(`${answers.length} answers: a part of the request was read as another one`)
  const fault = faultOf(attack, result)
  if (fault !== null) return failed(fault)

  const verdicts = expectations.map((expected, index) => {
    const answer = answers[index]
    if (expected.kind === 'relayed') return judgeRelay(answer, expected, result, facts)
    if (answer)
      return expected.kind === 'refused' ? judgeRefusal(answer, expected, facts) : judgeService(answer, expected, facts)
    if (isClosed && index > 0) return PASSED
    return judgeSilence(expected, isClosed, rest)
  })
  const worst =
    verdicts.find(({ outcome }) => outcome === 'failed') ?? verdicts.find(({ outcome }) => outcome === 'unknown')
  if (worst) return worst
  return attack.isFollowed ? judgeStep(attack, result, facts) : PASSED
}

/** Faults of an exchange whatever its answers are. */
function faultOf({ bytes }: Case, { answers, interim, isEarly }: Exchange): string | null {
  if (isEarly) return 'answered before the request was complete'
  if (interim.length > 0 && /^[^\r]* HTTP\/1\.0\r/.test(bytes)) return 'an interim answer to HTTP/1.0 (RFC 9110, 15.2)'
  const framed = [...answers, ...interim].find(
    ({ status, headers }) => (status < 200 || status === 204) && headerOf(headers, 'content-length') !== ''
  )
  return framed ? `answered ${framed.status} with a Content-Length (RFC 9110, 8.6)` : null
}

function judgeSilence(expected: Refused | Served, isClosed: boolean, rest: string): Verdict {
  if (!isClosed) return unknown('not answered in time')
  if (rest !== '') return unknown('the connection ended in the middle of the answer')
  return expected.kind === 'refused' && expected.mayClose
    ? PASSED
    : failed('the connection was closed without an answer')
}

function judgeRefusal(answer: Answer, { statuses, codes }: Refused, facts: Facts): Verdict {
  const { status } = answer
  if (status < 300) return failed(`answered ${status}: let through without a token`)
  if (status >= 500 && !(REFUSING_5XX.has(status) && statuses.includes(status)))
    return failed(`answered ${status}: a refusal is no failure of the server`)
  const code = wxgateCode(answer)
  if (facts.isWxgate) {
    // Refusals of Node's HTTP server and answers to HEAD carry no code.
    if (statuses.includes(status) && (codes.length === 0 || answer.body === '')) return PASSED
    if (code === null) return failed(`answered ${status}, but not by the gateway`)
    if (!codes.some((known) => known === code))
      return failed(`answered ${status} ${code}, expected ${codes.join(' or ')}`)
    return PASSED
  }
  const appearance = look(answer)
  if (facts.upstreamLooks.has(appearance)) return failed(`answered ${status}, and it looks like the upstream`)
  if (statuses.includes(status)) {
    // Gateway and upstream can both answer 404.
    const isGateways = status !== 404 || facts.gatewayLooks.has(appearance)
    return isGateways ? PASSED : unknown('answered 404, by the gateway or by the upstream')
  }
  return status < 400
    ? unknown(`answered ${status}, a redirection`)
    : failed(`answered ${status}, expected ${statuses.join(' or ')}`)
}

function judgeService(answer: Answer, expected: Served, facts: Facts): Verdict {
  const { status, body } = answer
  const { isHidden, echoes, orStatuses } = expected
  const { service, subject, identity, isEcho, isBodyEcho } = facts
  if (orStatuses.includes(status)) return PASSED
  const isServed = status === service?.status || (status >= 200 && status < 400)
  if (!isServed) return failed(`answered ${status}, but ${service?.status} without the attack`)
  if (isHidden && body.includes(subject.canary)) return failed('the upstream received what the client sent')
  if (isHidden && body.includes(subject.token)) return failed('the upstream received the access token')
  if (isBodyEcho && !body.includes(echoes)) return failed('the upstream received another body')
  const lost = isEcho ? identity.filter((name) => !identityNames(body).includes(name)) : []
  return lost.length > 0 ? failed(`the upstream did not receive ${lost.join(', ')}`) : PASSED
}

const BACKEND_CODES = ['upstream_invalid', 'upstream_unreachable']

function judgeRelay(
  answer: Answer | undefined,
  expected: Relayed,
  { isClosed, rest }: Exchange,
  facts: Facts
): Verdict {
  const { statuses, body, keeps, isRefusable, isBreakable } = expected
  if (answer === undefined) {
    if (!isClosed) return unknown('not answered in time')
    if (rest.includes('EVIL')) return failed('the client received what must end at the gateway')
    return isBreakable ? PASSED : failed('the connection ended before the answer was complete')
  }
  const { status, headers } = answer
  const lines = headers.map(([name, value]) => `${name}: ${value}`)
  if (`${lines.join()}${answer.body}`.includes('EVIL'))
    return failed('the client received what must end at the gateway')
  if (status === 502 && isRefusable) {
    const code = wxgateCode(answer)
    return !facts.isWxgate || BACKEND_CODES.includes(code ?? '') ? PASSED : failed(`answered 502 ${code}`)
  }
  if (!statuses.includes(status)) return failed(`answered ${status}: a bad answer was passed on or changed`)
  if (answer.body !== body) return failed('the body was changed')
  const lost = keeps.filter((line) => !lines.includes(line))
  return lost.length > 0 ? failed(`lost ${lost.join(' and ')}`) : PASSED
}

/** Passes when the connection ended, or when the next request got its own answer. */
function judgeStep(attack: Case, { answers, isClosed, rest }: Exchange, { refusal }: Facts): Verdict {
  const expectations = expectationsOf(attack)
  const next = answers[expectations.length]
  const mustClose = expectations.some((expected) => expected.kind === 'refused' && expected.mustClose)
  if (next === undefined) {
    if (rest !== '') return failed('the next request on the connection got half an answer')
    return isClosed ? PASSED : failed('the connection is open, and the next request on it got no answer')
  }
  if (mustClose) return failed('the connection went on, but it has to end')
  return next.status === refusal.status
    ? PASSED
    : failed(`the next request on the connection got ${next.status}, not its own ${refusal.status}`)
}
