/** Measures 100,000 live revocations in one instance: `node --expose-gc bench/revocations.ts
 *  [count]` prints memory, the time to read the feed at a start, and the time of authenticate()
 *  with and without them. */

import { systemClock } from '../src/clock.ts'
import { createKeyRing } from '../src/crypto/key-ring.ts'
import { createSealer } from '../src/crypto/sealer.ts'
import { createAuthenticator } from '../src/identity/authenticator.ts'
import { createRevocations } from '../src/identity/revocations.ts'
import { createAccessTokens } from '../src/identity/tokens/access-tokens.ts'
import { createJwtCodecs } from '../src/identity/tokens/jwt-codecs.ts'
import { deriveSigningKeys } from '../src/identity/tokens/signing-keys.ts'
import type { Store } from '../src/store/port.ts'
import { quietLog } from '../test/support/store.ts'

const COUNT = Number(process.argv[2] ?? 100_000)
const ACCESS_TTL = 7_200_000
const APP = 'wx1234567890abcdef'
const ROUNDS = 5
const CALLS = 2_000_000
const TOKENS = 1_000
const print = (line: string) => process.stdout.write(`${line}\n`)

const ring = createKeyRing(['a-benchmark-secret-of-more-than-32-characters'])
const tokens = createAccessTokens({
  codecs: await createJwtCodecs(deriveSigningKeys(ring, 'HS256')),
  issuer: 'wxgate',
  appIds: [APP],
  accessTtl: ACCESS_TTL,
  openId: 'sealed',
  sealer: createSealer(ring, 'openid', { deterministic: true }),
  clock: systemClock
})

const id = (index: number) => index.toString(36).padStart(22, '0')

/** A feed of `count` entries, half sessions and half users, in the store's form. */
function feedOf(count: number): Pick<Store, 'readFeed'> {
  const x = Date.now() + ACCESS_TTL
  return {
    async readFeed(cursor, limit) {
      const from = Number(cursor || 0)
      const entries: string[] = []
      for (let index = from; index < Math.min(count, from + limit); index++)
        entries.push(JSON.stringify(index % 2 ? { s: id(index), x } : { a: APP, u: `o${id(index)}`, e: 1, x }))
      return { entries, cursor: String(from + entries.length), hasRestarted: false }
    }
  }
}

function memory(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function follow(count: number) {
  const before = memory()
  const revocations = createRevocations({
    store: feedOf(count) as Store,
    clock: systemClock,
    log: quietLog(),
    accessTtl: ACCESS_TTL,
    grace: 300_000
  })
  const started = performance.now()
  await revocations.start()
  const milliseconds = performance.now() - started
  revocations.stop()
  return { revocations, bytes: memory() - before, milliseconds }
}

const credentials = Array.from({ length: TOKENS }, (_, index) => {
  const subject = { appId: APP, openId: `oUser${id(index)}`, unionId: null, userId: `u_${id(index)}` }
  const now = Date.now()
  const rest = { sessionId: `alive${id(index)}`.slice(0, 22), epoch: 0, status: 'anonymous' as const, claims: {} }
  return `Bearer ${tokens.sign({ ...subject, ...rest }, now, now + ACCESS_TTL)}`
})

/** Nanoseconds of CPU per call with remembered tokens, as nearly all are. */
function timeOf(authenticate: (authorization: string) => unknown): number {
  const before = process.cpuUsage()
  for (let call = 0; call < CALLS; call++) authenticate(credentials[call % TOKENS] as string)
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1_000) / CALLS
}

const empty = await follow(0)
const full = await follow(COUNT)
const subjects = [empty, full].map(({ revocations }) => createAuthenticator(tokens, revocations))
const times: number[][] = [[], []]
for (let round = 0; round <= ROUNDS; round++) {
  for (const [index, subject] of subjects.entries()) {
    const time = timeOf((authorization) => subject.authenticate(authorization))
    // The first round warms up.
    if (round > 0) times[index]?.push(time)
  }
}
/** Other load on the machine only adds to a time, so take the best. */
const best = (values: readonly number[] = []) => Math.min(...values).toFixed(0)

print('| | figure |')
print('|---|---|')
print(`| live revocations | ${full.revocations.size.toLocaleString('en')} |`)
print(`| memory for them | ${(full.bytes / 2 ** 20).toFixed(1)} MiB, ${Math.round(full.bytes / COUNT)} bytes each |`)
print(`| reading the whole feed at a start, without the store | ${Math.round(full.milliseconds)} ms |`)
print(`| authenticate(), none revoked | ${best(times[0])} ns of CPU |`)
print(`| authenticate(), all of these revoked | ${best(times[1])} ns of CPU |`)
