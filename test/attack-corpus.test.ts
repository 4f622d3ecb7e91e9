/** Runs the corpus of the self-test against a gateway with a watched upstream, to check what a
 *  client cannot see. */
import { test } from 'tap'
import type { Case } from '../src/selftest/case.ts'
import { fill } from '../src/selftest/corpus/placeholders.ts'
import { casesFor } from '../src/selftest/corpus.ts'
import { type Facts, findFacts } from '../src/selftest/facts.ts'
import { attempt } from '../src/selftest/run.ts'
import { expectationsOf } from '../src/selftest/verdict.ts'
import { type Dial, dialTo } from '../src/selftest/wire.ts'
import { ROUTES, valuesOf } from './support/attack.ts'
import { APPID, buildTestGateway } from './support/gateway.ts'
import type { Teardown } from './support/listen.ts'
import { echo } from './support/selftest.ts'
import { type Seen, startUpstream, type TestUpstream } from './support/upstream.ts'

const TIMEOUT = 3_000
const IDENTITY = ['X-OpenId', 'X-AppId', 'X-User-Id', 'X-User-Status', 'X-Session-Id']

interface Watched {
  readonly dial: Dial
  readonly upstream: TestUpstream
  readonly facts: Facts
  readonly openId: string
}

async function watch(t: Teardown): Promise<Watched> {
  const upstream = await startUpstream(t, echo)
  const gateway = await buildTestGateway(t, upstream.url, { config: { routes: ROUTES } })
  const { access_token: token } = await gateway.login('mallory')
  const dial = dialTo(new URL(gateway.url))
  const { host } = new URL(gateway.url)
  const facts = await findFacts({
    dial,
    host,
    route: '/admin',
    token,
    timeout: TIMEOUT,
    canary: 'wxgateCanary0815',
    hasBackend: false
  })
  const { openId } = gateway.sandbox.state.people.person(APPID, 'mallory')
  return { dial, upstream, facts, openId }
}

/** Sends a case; returns its verdict and the requests that reached the upstream. */
async function send({ dial, upstream, facts }: Watched, attack: Case) {
  upstream.seen.length = 0
  const { verdict, answers } = await attempt(dial, attack, facts, TIMEOUT)
  const served = answers.slice(0, expectationsOf(attack).length).filter(({ status }) => status < 300).length
  return { verdict, served, seen: [...upstream.seen] }
}

function faultsOf(attack: Case, { url, rawHeaders, headers }: Seen, { facts, openId }: Watched): string[] {
  const faults = IDENTITY.filter((name) => valuesOf({ rawHeaders }, name).length !== 1).map(
    (name) => `${name} not once`
  )
  if (headers['x-openid'] !== openId || headers['x-appid'] !== APPID) faults.push('another identity')
  if (rawHeaders.some((text) => text.includes(facts.subject.token))) faults.push('the token')
  if (!url.startsWith('/admin') || url.includes('smuggled')) faults.push(url)
  const isHidden = expectationsOf(attack).every((expected) => expected.kind === 'served' && expected.isHidden)
  if (isHidden && rawHeaders.some((text) => text.includes(facts.subject.canary))) faults.push('the canary')
  if (headers['transfer-encoding'] !== undefined && headers['content-length'] !== undefined) faults.push('two framings')
  if (!/^(?:undefined|0|[1-9]\d*)$/.test(String(headers['content-length']))) faults.push('an ambiguous length')
  return faults
}

test('an upstream receives the requests that were served, once each, with the identity of the token', async (t) => {
  const watched = await watch(t)
  const faults: string[] = []
  for (const attack of casesFor(watched.facts.subject)) {
    if (attack.needs === 'backend') continue
    const { verdict, served, seen } = await send(watched, attack)
    if (verdict.outcome !== 'passed') faults.push(`${attack.id}: ${verdict.reason}`)
    if (seen.length !== served) faults.push(`${attack.id}: ${seen.length} requests upstream, ${served} served`)
    for (const request of seen)
      for (const fault of faultsOf(attack, request, watched)) faults.push(`${attack.id}: ${fault}`)
  }
  t.same(faults, [])
})

test('without a token no header makes an identity upstream', async (t) => {
  const watched = await watch(t)
  const { upstream, facts, dial } = watched
  const { subject } = facts
  const faults: string[] = []
  for (const attack of casesFor({ ...subject, route: '/public' })) {
    if (attack.row.family !== 'headers' || attack.needs !== 'echo') continue
    upstream.seen.length = 0
    await attempt(dial, { ...attack, bytes: attack.bytes.replaceAll(fill('{auth}', subject), '') }, facts, TIMEOUT)
    for (const { rawHeaders } of upstream.seen) {
      for (const name of IDENTITY) if (valuesOf({ rawHeaders }, name).length > 0) faults.push(`${attack.id}: ${name}`)
      if (
        attack.row.expected.kind === 'served' &&
        attack.row.expected.isHidden &&
        rawHeaders.join().includes(subject.canary)
      )
        faults.push(`${attack.id}: the canary`)
    }
  }
  t.same(faults, [])
})

/** Rows whose fault is in the bytes, not in the missing token. */
const isMalformed = ({ row: { expected }, expected: each, bytes }: Case) =>
  each === undefined &&
  expected.kind === 'refused' &&
  (expected.mustClose || !expected.codes.includes('token_missing')) &&
  expected.codes.some((code) => code === 'bad_header' || code === 'bad_path' || code === 'headers_too_large') &&
  !bytes.includes('{end}')

test('malformed paths, heads and bodies are refused before the upstream, whatever the route and the token', async (t) => {
  const watched = await watch(t)
  const { upstream, facts, dial } = watched
  const { subject } = facts
  const open = casesFor({ ...subject, route: '/public' }).filter(({ row }) => /^(?:framing|headers)$/.test(row.family))
  const withToken = casesFor(subject)
    .filter(({ row }) => row.family === 'paths')
    .map((attack) => ({ ...attack, bytes: fill(attack.bytes.replace('\r\n\r\n', '\r\n{auth}\r\n'), subject) }))
  const malformed = [...open, ...withToken].filter(isMalformed)
  const faults: string[] = []
  for (const attack of malformed) {
    upstream.seen.length = 0
    const { answers } = await attempt(dial, attack, facts, TIMEOUT)
    const statuses = answers.map(({ status }) => status).join()
    // A harmless request follows, and gets 401 when the connection stays open.
    if (!/^(?:400|405|413|414|431)?(?:,401)?$/.test(statuses)) faults.push(`${attack.id}: answered ${statuses}`)
    if (upstream.seen.length > 0) faults.push(`${attack.id}: ${upstream.seen.length} requests upstream`)
  }
  t.ok(malformed.length > 350, `${malformed.length} cases`)
  t.same(faults, [])
})
