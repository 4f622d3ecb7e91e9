/** Storage of session_key: W07 and W09 of the attack corpus, and the promises of the contract. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Test, test } from 'tap'
import { createKeyRing } from '../src/crypto/key-ring.ts'
import { createSealer } from '../src/crypto/sealer.ts'
import { createSessionKeys } from '../src/identity/session-keys.ts'
import { createMemoryStore } from '../src/store/memory.ts'
import { createTestClock } from './support/clock.ts'
import { APP_SECRET, APPID, buildTestGateway, SECRET, SERVICE_TOKEN } from './support/gateway.ts'
import { enter, post, read, startBackend, startGroup } from './support/instances.ts'
import { wechatKeys } from './support/record-keys.ts'
import { quietLog } from './support/store.ts'
import { startUpstream } from './support/upstream.ts'

const NEW_SECRET = 'a-new-secret-of-more-than-32-characters'
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const ALICE = 'oAlice-0000000000000000'
const BOB = 'oBob-000000000000000000'
const RECORD = `key:wechat:${APPID}:${ALICE}`
const [K1, K2, K3] = ['AAAAAAAAAAAAAAAAAAAAAA==', 'AQEBAQEBAQEBAQEBAQEBAQ==', 'AgICAgICAgICAgICAgICAg==']

function build(secrets: readonly string[] = [SECRET], shared?: ReturnType<typeof makeStore>) {
  const { clock, store } = shared ?? makeStore()
  const sealer = createSealer(createKeyRing(secrets), 'records')
  const keys = createSessionKeys({ store, sealer, clock, keys: wechatKeys, sessionKeyTtl: 2 * HOUR })
  const readAll = async (openId = ALICE, appId = APPID) => ({
    current: await keys.current(appId, openId),
    all: await keys.forDecrypting(appId, openId)
  })
  return { keys, clock, store, readAll, save: (key: string, at: number) => keys.save(APPID, ALICE, key, at) }
}

function makeStore() {
  const clock = createTestClock()
  return { clock, store: createMemoryStore({ clock, log: quietLog() }) }
}

const NOTHING = { current: null, all: [] }

test('W07 a bit flipped anywhere in a record means "log in again", or changes nothing; it is never an exception', async (t) => {
  const { store, readAll, save, clock } = build()
  await save(K1, clock.now() - MINUTE)
  await save(K2, clock.now())
  const good = (await store.get(RECORD)) ?? ''
  t.same(await readAll(), { current: K2, all: [K2, K1] })
  const outcomes = new Set<string>()
  for (let index = 0; index < good.length; index++) {
    for (let bit = 0; bit < 7; bit++) {
      const char = String.fromCharCode(good.charCodeAt(index) ^ (1 << bit))
      await store.set(RECORD, good.slice(0, index) + char + good.slice(index + 1), HOUR)
      const found = await readAll()
      outcomes.add(JSON.stringify(found))
    }
  }
  const allowed = [
    { current: K2, all: [K2, K1] },
    { current: K2, all: [K2] },
    { current: null, all: [K1] },
    NOTHING
  ].map((outcome) => JSON.stringify(outcome))
  t.same([...outcomes].sort(), [...new Set(allowed)].sort())
})

test('W07 a login repairs any content of a record', async (t) => {
  const { store, readAll, save, clock } = build()
  const texts = ['', '{', 'null', '1', '[]', '"x"', '{"current":1}', '{"current":{"key":5,"at":1}}', 'x'.repeat(1_000)]
  const records = [
    { current: { key: '', at: 0 }, previous: null },
    { current: { key: 'x', at: clock.now() }, previous: 'x' },
    { current: { key: '__proto__.AAAA', at: clock.now() }, previous: {} },
    { current: { key: 'x.y', at: clock.now() + 1_000 * HOUR }, previous: { key: null, at: null } },
    { current: { key: `kid.${'A'.repeat(60)}`, at: -1 }, previous: [] }
  ]
  for (const text of [...texts, ...records.map((record) => JSON.stringify(record))]) {
    await store.set(RECORD, text, HOUR)
    t.same(await readAll(), NOTHING, text.slice(0, 60))
    await save(K1, clock.now())
    t.same(await readAll(), { current: K1, all: [K1] }, `after a login: ${text.slice(0, 60)}`)
  }
})

test('W07 a record of another user, mini-program, time or kind does not open', async (t) => {
  const { keys, store, readAll, save, clock } = build()
  const other = 'wxfedcba0987654321'
  await save(K1, clock.now())
  await keys.save(APPID, BOB, K2, clock.now())
  await keys.save(other, ALICE, K3, clock.now())
  const [alice, bob] = [(await store.get(RECORD)) ?? '', (await store.get(`key:wechat:${APPID}:${BOB}`)) ?? '']
  await store.set(RECORD, bob, HOUR)
  await store.set(`key:wechat:${APPID}:${BOB}`, alice, HOUR)
  t.same(await readAll(), NOTHING, "another user's")
  t.same(await readAll(BOB), NOTHING)
  await store.set(RECORD, (await store.get(`key:wechat:${other}:${ALICE}`)) ?? '', HOUR)
  t.same(await readAll(), NOTHING, 'of another mini-program')
  await store.set(RECORD, alice.replace(/"at":\d+/, `"at":${clock.now() + 1}`), HOUR)
  t.same(await readAll(), NOTHING, 'made younger')
  const phone = createSealer(createKeyRing([SECRET]), 'records').seal(K1, `user:${APPID}:${ALICE}`)
  await store.set(RECORD, JSON.stringify({ current: { key: phone, at: clock.now() }, previous: null }), HOUR)
  t.same(await readAll(), NOTHING, 'another text sealed by the gateway')
})

test('without the old secret one login is needed, and enough', async (t) => {
  const shared = makeStore()
  await build([SECRET], shared).save(K1, shared.clock.now())
  const later = build([NEW_SECRET], shared)
  t.same(await later.readAll(), NOTHING)
  t.equal(await later.keys.replace(APPID, ALICE, K1, K2), false)
  await later.save(K2, shared.clock.now() - 1)
  t.same(await later.readAll(), { current: K2, all: [K2] })
})

test('after a rotation keys are sealed again on use, so that the old secret can be removed', async (t) => {
  const shared = makeStore()
  const old = build([SECRET], shared)
  await old.save(K1, shared.clock.now() - MINUTE)
  await old.save(K2, shared.clock.now())
  const both = build([NEW_SECRET, SECRET], shared)
  const before = await shared.store.get(RECORD)
  t.equal(await both.keys.current(APPID, ALICE), K2)
  t.not(await shared.store.get(RECORD), before)
  const after = await shared.store.get(RECORD)
  t.same(await both.readAll(), { current: K2, all: [K2, K1] })
  t.equal(await shared.store.get(RECORD), after, 'sealed once')
  t.same(await build([NEW_SECRET], shared).readAll(), { current: K2, all: [K2, K1] }, 'the previous one too')
  t.same(await old.readAll(), NOTHING)
})

test('W09 of racing logins the one that was exchanged later holds the key', async (t) => {
  const orders = [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
    [2, 0, 1],
    [0, 2, 1],
    [1, 0, 2]
  ]
  for (const order of orders) {
    const { readAll, save, clock } = build()
    for (const index of order) await save([K1, K2, K3][index] ?? '', clock.now() - 3_000 + index * 1_000)
    t.same(await readAll(), { current: K3, all: [K3, K2] }, order.join())
  }
  const { readAll, save, clock } = build()
  await Promise.all([K1, K2, K3].map((key, index) => save(key, clock.now() - 3_000 + index)))
  t.same(await readAll(), { current: K3, all: [K3, K2] }, 'at once')
})

test('the key before the newest one is kept ten minutes, and only to decrypt', async (t) => {
  const { readAll, save, clock } = build()
  await save(K1, clock.now())
  clock.advance(HOUR)
  await save(K2, clock.now())
  clock.advance(10 * MINUTE - 1)
  t.same(await readAll(), { current: K2, all: [K2, K1] })
  clock.advance(1)
  t.same(await readAll(), { current: K2, all: [K2] })
})

test('a key is used for sessionKeyTtl after its exchange; the same key obtained again is younger', async (t) => {
  const { readAll, save, clock } = build()
  await save(K1, clock.now())
  clock.advance(2 * HOUR - 1)
  t.same(await readAll(), { current: K1, all: [K1] })
  clock.advance(1)
  t.same(await readAll(), NOTHING)
  await save(K1, clock.now())
  clock.advance(2 * HOUR - 1)
  t.same(await readAll(), { current: K1, all: [K1] })
  clock.advance(3 * HOUR)
  await save(K2, clock.now())
  t.same(await readAll(), { current: K2, all: [K2] }, 'expired keys are gone')
})

test('a key from a clock that was ahead does not block later logins', async (t) => {
  const { readAll, save, clock } = build()
  await save(K1, clock.now() + 30_000)
  t.same(await readAll(), { current: K1, all: [K1] }, 'clocks differ a little')
  await save(K1, clock.now() + HOUR)
  t.same(await readAll(), NOTHING)
  await save(K2, clock.now())
  t.same(await readAll(), { current: K2, all: [K2] })
})

test('a reset replaces the key, keeps its age and forgets the previous one; a newer login takes precedence', async (t) => {
  const { keys, readAll, save, clock } = build()
  await save(K1, clock.now())
  clock.advance(HOUR)
  t.equal(await keys.replace(APPID, ALICE, K1, K2), true)
  t.same(await readAll(), { current: K2, all: [K2] })
  clock.advance(HOUR)
  t.same(await readAll(), NOTHING, 'as old as the login')
  await save(K3, clock.now())
  t.equal(await keys.replace(APPID, ALICE, K2, K1), false)
  t.same(await readAll(), { current: K3, all: [K3, K2] })
  await keys.forget(await keys.seen(APPID, ALICE))
  t.same(await readAll(), NOTHING)
})

test('the key of a login that comes while all sessions are being ended stays', async (t) => {
  const { keys, save, readAll, clock } = build()
  await save(K1, clock.now() - 1)
  const seen = await keys.seen(APPID, ALICE)
  await save(K2, clock.now())
  await keys.forget(seen)
  t.equal((await readAll()).current, K2)
  await keys.forget(await keys.seen(APPID, ALICE))
  const none = await keys.seen(APPID, ALICE)
  await save(K3, clock.now())
  await keys.forget(none)
  t.equal((await readAll()).current, K3)
})

test('a reset is stored although a login got the old key again at the same moment', async (t) => {
  const { clock, store } = makeStore()
  const { save, readAll } = build([SECRET], { clock, store })
  await save(K1, clock.now())
  clock.advance(MINUTE)
  let isLate = true
  const racing = {
    ...store,
    async get(key: string) {
      const stored = await store.get(key)
      if (isLate) await save(K1, clock.now())
      isLate = false
      return stored
    }
  }
  t.equal(await build([SECRET], { clock, store: racing }).keys.replace(APPID, ALICE, K1, K2), true)
  t.same(await readAll(), { current: K2, all: [K2] }, 'WeChat knows no other')
})

/** Every file of a folder and below, as bytes. */
function bytesOf(folder: string): Buffer {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return Buffer.concat(
    entries.filter((entry) => entry.isFile()).map((entry) => readFileSync(join(entry.parentPath, entry.name)))
  )
}

async function assertSealedAtRest(t: Test, kind: 'sqlite' | 'redis') {
  const backend = await startBackend(t, kind, '--appendonly', 'yes', '--appendfsync', 'always')
  if (!backend) return
  const { a, sandbox, backend: own } = await startGroup(t, backend)
  const texts: string[] = []
  for (let round = 0; round < 3; round++) {
    const login = await enter(a, 'alice')
    const { openId } = sandbox.state.people.person(APPID, 'alice')
    const { current } = sandbox.state.people.sessionKeys(APPID, openId)
    texts.push(current ?? '')
    const session = await read(await a.call('/auth/session?check=true', { token: login.access_token }))
    t.match(JSON.parse(session.text), { session_key: { stored: true, valid: true } }, 'it is there, and right')
  }
  const code = sandbox.state.codes.mint({ kind: 'phone', name: 'alice', appId: APPID })
  const bound = await post(a, '/auth/phone', { code }, (await enter(a, 'alice')).access_token)
  t.equal(bound.status, 200)
  const stored = bytesOf(own.redis?.folder ?? dirname(own.file ?? ''))
  t.ok(stored.includes(`key:wechat:${APPID}:`), 'the right files')
  for (const text of texts) {
    const key = Buffer.from(text, 'base64')
    for (const form of [text, text.replace(/=+$/, ''), key, key.toString('hex'), key.toString('base64url')])
      t.notOk(stored.includes(form as string), 'not in clear')
  }
  t.notOk(stored.includes(APP_SECRET))
  t.notOk(stored.includes(SECRET))
}

test('SQLite at rest holds no session_key', (t) => assertSealedAtRest(t, 'sqlite'))
test('Redis at rest holds no session_key', (t) => assertSealedAtRest(t, 'redis'))

test('W07 through the gateway a damaged record is 409 session_key_stale, and the next login repairs it', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const { state } = gateway.sandbox
  const { openId } = state.people.person(APPID, 'alice')
  const { openId: bobId } = state.people.person(APPID, 'bob')
  const keyOf = (user: string) => `key:wechat:${APPID}:${user}`
  await enter(gateway, 'bob')
  const bobs = (await gateway.store.get(keyOf(bobId))) ?? ''
  const signUp = JSON.stringify({ appid: APPID, openid: openId, body: '{}' })
  for (const spoil of [bobs, 'x', '{"current":{"key":"a.b","at":1}}']) {
    const { access_token: token } = await enter(gateway, 'alice')
    await gateway.store.set(keyOf(openId), spoil, HOUR)
    const session = await read(await gateway.call('/auth/session?check=true', { token }))
    t.match(JSON.parse(session.text), { session_key: { stored: false, valid: false } })
    const data = { encryptedData: Buffer.alloc(32).toString('base64'), iv: Buffer.alloc(16).toString('base64') }
    t.match(await post(gateway, '/auth/open-data', data, token), { status: 409, code: 'session_key_stale' })
    const sign = await gateway.service('/v1/sign', { method: 'POST', token: SERVICE_TOKEN, body: signUp })
    t.match(await read(sign), { status: 409, code: 'session_key_stale' })
    t.equal((await gateway.call('/api', { token })).status, 200, 'the session itself goes on')
    const healed = await enter(gateway, 'alice')
    const after = await read(await gateway.call('/auth/session?check=true', { token: healed.access_token }))
    t.match(JSON.parse(after.text), { session_key: { stored: true, valid: true } })
  }
})

test('a user without a key costs as many decryptions as one with two', async (t) => {
  const { clock, store } = makeStore()
  const sealer = createSealer(createKeyRing([SECRET]), 'records')
  let openings = 0
  const counting = {
    ...sealer,
    open(sealed: string, context: string) {
      openings++
      return sealer.open(sealed, context)
    }
  }
  const keys = createSessionKeys({ store, sealer: counting, clock, keys: wechatKeys, sessionKeyTtl: 2 * HOUR })
  const cost = async () => {
    openings = 0
    const found = await keys.forDecrypting(APPID, ALICE)
    return { found: found.length, openings }
  }
  t.same(await cost(), { found: 0, openings: 2 }, 'no record')
  await keys.save(APPID, ALICE, K1, clock.now())
  t.same(await cost(), { found: 1, openings: 2 }, 'one key')
  await keys.save(APPID, ALICE, K2, clock.now())
  t.same(await cost(), { found: 2, openings: 2 }, 'two keys')
  clock.advance(3 * HOUR)
  t.same(await cost(), { found: 0, openings: 2 }, 'too old')
  await store.set(RECORD, 'spoilt', HOUR)
  t.same(await cost(), { found: 0, openings: 2 }, 'spoilt')
})
