/** The promises about sessions when two events race, or one of them fails halfway. */
import { StoreError } from '../src/errors.ts'
import { APPID, OTHER_APPID } from './support/gateway.ts'
import {
  enter,
  type Interception,
  logout,
  nextReading,
  overEveryBackend,
  post,
  read,
  refresh,
  verdict
} from './support/instances.ts'

/** Holds one operation on records of one kind until `go` is called. `arrived` resolves when one
 *  is held. */
function hold(interception: Interception, operation: string, prefix: string) {
  const gate = Promise.withResolvers<void>()
  const arrival = Promise.withResolvers<void>()
  interception.before = (name, key) => {
    if (name !== operation || !key.startsWith(prefix)) return
    arrival.resolve()
    return gate.promise
  }
  return {
    arrived: arrival.promise,
    go() {
      interception.before = null
      gate.resolve()
    }
  }
}

/** Lets this many turns of the event loop pass. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}

const firstLogins = [
  { who: 'with a unionid', fault: '', apps: [APPID, APPID] },
  { who: 'without a unionid', fault: 'no-unionid-', apps: [APPID, APPID] },
  { who: 'in two mini-programs', fault: '', apps: [APPID, OTHER_APPID] }
]

overEveryBackend({
  async 'first logins racing on two instances give one user and exactly one is_new'(t, { a, b }) {
    for (const [index, { who, fault, apps }] of firstLogins.entries()) {
      for (let round = 0; round < 6; round++) {
        const racing = await Promise.all(
          [a, b, a, b].map((instance, place) =>
            instance.login(`sandbox-${fault}new${index}x${round}-${place}`, apps[place % 2])
          )
        )
        t.ok(
          racing.every((login) => login.status === 200),
          who
        )
        t.equal(new Set(racing.map((login) => login.user.id)).size, 1, `${who}: one id`)
        t.equal(racing.filter((login) => login.user.is_new).length, 1, `${who}: one is_new`)
      }
    }
  },

  async 'W01 a code posted to both instances at once, and again within ten seconds, has one answer'(t, group) {
    const { a, b, sandbox } = group
    const body = { code: 'sandbox-slow-100-alice-once', appid: APPID }
    const before = sandbox.state.calls.counts().total
    const answers = await Promise.all([a, b, a, b, a, b].map((instance) => post(instance, '/auth/login', body)))
    for (const answer of answers) t.equal(answer.text, answers[0]?.text, 'byte for byte')
    t.equal(answers[0]?.status, 200)
    for (const instance of [a, b]) t.equal((await post(instance, '/auth/login', body)).text, answers[0]?.text, 'again')
    t.equal(sandbox.state.calls.counts().total, before + 1, 'exchanged once')
    t.equal((await refresh(a, answers[0]?.refresh_token ?? '')).status, 200)
    t.equal((await post(b, '/auth/login', body)).text, answers[0]?.text, 'also when the session has moved on')
    // Redis uses its own clock.
    if (group.backend.kind === 'redis') return
    group.clock.advance(10_000)
    t.equal((await post(b, '/auth/login', body)).code, 'code_used', 'and no longer')
  },

  async 'W10 parallel refreshes on both instances are harmless'(t, { a, b }) {
    let { refresh_token: token } = await enter(a, 'alice')
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all([a, b, a, b, a].map((instance) => refresh(instance, token)))
      for (const answer of answers) t.equal(answer.text, answers[0]?.text)
      t.equal(answers[0]?.status, 200)
      token = answers[0]?.refresh_token ?? ''
    }
    t.equal((await refresh(b, token)).status, 200)
    for (const { lines } of [a, b]) t.notOk(lines.some((line) => line.includes('"event":"refresh_reused"')))
  },

  async 'a refresh that races a logout does not restore the session'(t, { a, b }) {
    const logins = await Promise.all(Array.from({ length: 15 }, (_, index) => enter(a, `racer${index}`)))
    const ended = await Promise.all(
      logins.map(async (login, index) => {
        const [answer] = await Promise.all([
          refresh(b, login.refresh_token),
          turns(4 * (index % 5)).then(() => logout(a, login.access_token))
        ])
        return answer.status === 200 ? [login, answer] : [login]
      })
    )
    await nextReading(b)
    for (const pair of ended.flat()) {
      t.match((await refresh(a, pair.refresh_token)).code, /^refresh_(invalid|reused)$/)
      t.equal(await verdict(b, pair.access_token), 'session_revoked')
    }
  },

  async 'a refresh that was running when its session ended writes nothing'(t, { a, b, interception }) {
    const login = await enter(a, 'alice')
    const held = hold(interception, 'compareAndSet', 'session:')
    const slow = refresh(b, login.refresh_token)
    await held.arrived
    t.equal(await logout(a, login.access_token), 204)
    held.go()
    t.equal((await slow).code, 'refresh_invalid')
    t.equal((await refresh(a, login.refresh_token)).code, 'refresh_invalid')
  },

  async 'a login that was running when all sessions were ended does not survive'(t, group) {
    const { a, b, interception } = group
    const first = await enter(a, 'frank')
    const held = hold(interception, 'set', 'session:')
    const slow = enter(b, 'frank')
    await held.arrived
    t.equal(await logout(a, first.access_token, { all: true }), 204)
    held.go()
    const late = await slow
    t.equal(late.status, 200)
    await nextReading(b)
    for (const instance of [a, b]) {
      t.equal(await verdict(instance, late.access_token), 'session_revoked')
      t.equal((await refresh(instance, late.refresh_token)).code, 'refresh_invalid')
    }
    t.equal(await verdict(b, (await enter(a, 'frank')).access_token), '200')
  },

  async 'an instance that starts knows every earlier end of a session from its first answer on'(t, { a, add }) {
    const [ended, all, alive] = [await enter(a, 'alice'), await enter(a, 'bob'), await enter(a, 'carol')]
    await logout(a, ended.access_token)
    await logout(a, all.access_token, { all: true })
    const c = await add({ isStarting: true })
    t.equal((await c.call('/readyz')).status, 503)
    t.equal(
      await verdict(c, alive.access_token),
      'store_unavailable',
      'before it has read the feed it accepts no token'
    )
    t.equal((await c.call('/public')).status, 200)
    await c.gateway.ready()
    t.equal((await c.call('/readyz')).status, 200)
    t.equal(await verdict(c, ended.access_token), 'session_revoked')
    t.equal(await verdict(c, all.access_token), 'session_revoked')
    t.equal(await verdict(c, alive.access_token), '200')
    t.equal((await refresh(c, all.refresh_token)).code, 'refresh_invalid')
  },

  async 'an end of a session that failed halfway can be repeated until it is in force'(t, { a, b, interception }) {
    const [one, two] = [await enter(a, 'alice'), await enter(a, 'bob')]
    const stolen = await refresh(a, two.refresh_token)
    await refresh(a, stolen.refresh_token)
    interception.before = (name) => {
      if (name === 'appendFeed') throw new StoreError('away')
    }
    t.equal(await logout(a, one.access_token), 503)
    t.equal(await logout(a, one.access_token, { all: true }), 503)
    t.equal((await refresh(a, two.refresh_token)).code, 'store_unavailable')
    interception.before = null
    t.equal(await logout(a, one.access_token), 204)
    t.equal((await refresh(a, two.refresh_token)).code, 'refresh_reused')
    await nextReading(b)
    for (const { access_token: token } of [one, two, stolen]) t.equal(await verdict(b, token), 'session_revoked')
    t.equal((await refresh(b, one.refresh_token)).code, 'refresh_invalid')
  },

  async 'when the store has lost the last refresh, the newest token still counts'(t, { a, b }) {
    const login = await enter(a, 'alice')
    const key = `session:${login.refresh_token.split('.')[2]}`
    const before = await a.store.get(key)
    const lost = await refresh(a, (await refresh(a, login.refresh_token)).refresh_token)
    await a.store.set(key, before ?? '', 60_000)
    const next = await refresh(b, lost.refresh_token)
    t.equal(next.status, 200)
    t.equal((await refresh(b, next.refresh_token)).status, 200)
    t.equal((await refresh(a, login.refresh_token)).code, 'refresh_reused')
  },

  async 'many logins of one user at once all succeed'(t, { a, b }) {
    const all = await Promise.all(Array.from({ length: 30 }, (_, index) => enter(index % 2 ? a : b, 'grace')))
    t.same(new Set(all.map((login) => login.status)), new Set([200]))
    t.equal(all.filter((login) => login.user.is_new).length, 1)
    const session = await read(await a.call('/auth/session', { token: all[7]?.access_token ?? '' }))
    t.match(JSON.parse(session.text), { appid: APPID, session_key: { stored: true } })
  }
})
