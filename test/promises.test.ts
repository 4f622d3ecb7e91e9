/** The gateway's promises about sessions: two instances over one store, for every kind of
 *  store. Races and failures are in promises-races.test.ts. */
import { APPID, SECRET, SERVICE_TOKEN } from './support/gateway.ts'
import {
  enter,
  type Group,
  type Instance,
  logout,
  nextReading,
  overEveryBackend,
  post,
  type Rule,
  refresh,
  verdict
} from './support/instances.ts'

const kick = async (instance: Instance, path: string) =>
  (await instance.service(path, { method: 'DELETE', token: SERVICE_TOKEN })).status
const eventsOf = (group: Group) =>
  [group.a, group.b].flatMap(({ lines }) => lines.filter((line) => line.includes('"event":"refresh_reused"')))

/** The time of a second use that is not forgiven. */
const reuses: Record<string, (group: Group, first: string) => Promise<string>> = {
  async 'after the window'({ clock }, first) {
    clock.advance(10_001)
    return first
  },
  'after its successor was used': async ({ b }, first) => (await refresh(b, first)).refresh_token,
  async 'long after'({ b, clock }, first) {
    const second = await refresh(b, first)
    clock.advance(3_600_000)
    return (await refresh(b, second.refresh_token)).refresh_token
  }
}

function reuseRule(when: string): Rule {
  return async (t, group) => {
    const { a, b } = group
    const login = await enter(a, 'alice')
    const bystander = await enter(a, 'alice')
    const before = eventsOf(group).length
    const first = await refresh(a, login.refresh_token)
    const last = (await reuses[when]?.(group, first.refresh_token)) ?? ''
    t.equal(await verdict(b, first.access_token), '200')
    t.equal((await refresh(a, login.refresh_token)).code, 'refresh_reused')
    t.equal(await verdict(a, first.access_token), 'session_revoked')
    await nextReading(b)
    for (const token of [first.access_token, login.access_token]) t.equal(await verdict(b, token), 'session_revoked')
    for (const instance of [a, b])
      for (const token of [last, login.refresh_token, first.refresh_token])
        t.equal((await refresh(instance, token)).code, 'refresh_invalid', 'the newest token ends too')
    t.equal(await verdict(b, bystander.access_token), '200', 'another session of the user goes on')
    const events = eventsOf(group)
    t.equal(events.length, before + 1)
    t.match(JSON.parse(events[0] ?? '{}'), { level: 40, app: APPID, user: login.user.id, client: '127.0.0.1' })
    const metrics = await (await a.service('/metrics')).text()
    t.match(metrics, /wxgate_security_events_total\{kind="refresh_reused"\} [1-9]/)
  }
}

overEveryBackend({
  async 'W11 a session ended on one instance is refused on the other from its next reading of the feed on'(
    t,
    { a, b }
  ) {
    const [one, two] = [await enter(a, 'alice'), await enter(a, 'alice')]
    t.same([await verdict(b, one.access_token), await verdict(b, two.access_token)], ['200', '200'])
    t.equal(await logout(a, one.access_token), 204)
    t.equal(await verdict(a, one.access_token), 'session_revoked', 'on the ending instance, at once')
    await nextReading(b)
    t.equal(await verdict(b, one.access_token), 'session_revoked')
    for (const instance of [a, b]) t.equal((await refresh(instance, one.refresh_token)).code, 'refresh_invalid')
    t.equal(await verdict(b, two.access_token), '200', 'another session of the user goes on')
  },

  async 'requests with a token cost no store call, on any instance'(t, { a, b }) {
    const login = await enter(a, 'alice')
    const ended = await enter(a, 'bob')
    await logout(a, ended.access_token)
    await nextReading(b)
    const before = [a.calls.total, b.calls.total]
    for (let index = 0; index < 50; index++) {
      for (const instance of [a, b]) {
        t.equal(await verdict(instance, login.access_token), '200')
        await verdict(instance, ended.access_token)
        await verdict(instance, 'a.b.c')
      }
    }
    t.same([a.calls.total, b.calls.total], before)
  },

  async 'W11 logout of all sessions ends every one of the user, and no other'(t, { a, b }) {
    const mine = [await enter(a, 'carol'), await enter(b, 'carol'), await enter(a, 'carol')]
    const other = await enter(b, 'bob')
    for (const { access_token: token } of [...mine, other]) t.equal(await verdict(b, token), '200')
    t.equal(await logout(a, mine[0]?.access_token ?? '', { all: true }), 204)
    for (const { access_token: token } of mine) t.equal(await verdict(a, token), 'session_revoked')
    await nextReading(b)
    for (const { access_token: token } of mine) t.equal(await verdict(b, token), 'session_revoked')
    for (const { refresh_token: token } of mine)
      for (const instance of [a, b]) t.equal((await refresh(instance, token)).code, 'refresh_invalid')
    t.equal(await verdict(b, other.access_token), '200')
    const again = await enter(b, 'carol')
    t.equal(await verdict(a, again.access_token), '200', 'a new login counts')
    t.equal(again.user.is_new, false)
  },

  async 'a kick from the service listener is in force everywhere from the next reading of the feed on'(
    t,
    { a, b, sandbox, upstream }
  ) {
    const openId = sandbox.state.people.person(APPID, 'dave').openId
    const [one, two] = [await enter(a, 'dave'), await enter(a, 'dave')]
    t.equal(await verdict(b, one.access_token), '200')
    const sessionId = upstream.seen.at(-1)?.headers['x-session-id'] as string
    t.equal(await kick(a, `/v1/sessions/${sessionId}`), 204)
    await nextReading(b)
    t.equal(await verdict(b, one.access_token), 'session_revoked', 'one session')
    t.equal(await verdict(b, two.access_token), '200')
    t.equal(await kick(a, `/v1/users/${APPID}/${openId}/sessions`), 204)
    await nextReading(b)
    t.equal(await verdict(b, two.access_token), 'session_revoked', 'the user')
    for (const { refresh_token: token } of [one, two]) t.equal((await refresh(b, token)).code, 'refresh_invalid')
  },

  async 'a refresh token is accepted once; repeated within ten seconds it gets the same answer'(t, { a, b, clock }) {
    const login = await enter(a, 'alice')
    clock.advance(5_000)
    const first = await refresh(a, login.refresh_token)
    t.equal(first.status, 200)
    t.not(first.refresh_token, login.refresh_token)
    t.not(first.access_token, login.access_token)
    t.equal(first.user, undefined)
    clock.advance(10_000)
    for (const instance of [a, b, b])
      t.equal((await refresh(instance, login.refresh_token)).text, first.text, 'byte for byte')
    t.equal(await verdict(b, first.access_token), '200')
    t.equal(await verdict(b, login.access_token), '200', 'the old access token lives until it expires')
    t.equal((await refresh(b, first.refresh_token)).status, 200, 'the successor works')
  },

  ...Object.fromEntries(
    Object.keys(reuses).map((when) => [
      `W10 a refresh token used again ${when} ends the family, everywhere, and is a security event`,
      reuseRule(when)
    ])
  ),

  async 'rotating the secret logs no user out; dropping the old one does'(t, { a, add }) {
    const secrets = { old: SECRET, new: 'a-new-secret-of-more-than-32-characters' }
    const login = await enter(a, 'alice')
    const rotated = await add({ config: { secrets: [secrets.new, secrets.old] } })
    t.equal(await verdict(rotated, login.access_token), '200')
    const next = await refresh(rotated, login.refresh_token)
    t.equal(next.status, 200)
    const dropped = await add({ config: { secrets: [secrets.new] } })
    t.equal(await verdict(dropped, login.access_token), 'token_invalid')
    t.equal((await refresh(dropped, login.refresh_token)).code, 'refresh_invalid')
    t.equal(await verdict(dropped, next.access_token), '200', 'later tokens are under the new one')
    t.equal((await refresh(dropped, next.refresh_token)).status, 200)
  },

  async 'a session lives on with every refresh, but not for ever'(t, { add, backend, clock }) {
    const one = await add({ config: { tokens: { accessTtl: '5m', refreshTtl: '10m', refreshMaxTtl: '25m' } } })
    const minutes = (count: number) => clock.advance(count * 60_000)
    let grant = await post(one, '/auth/login', { code: 'sandbox-erin-x', appid: APPID })
    t.same([grant.expires_in, grant.refresh_expires_in], [300, 600])
    minutes(5)
    t.equal(await verdict(one, grant.access_token), 'token_expired')
    for (const [after, expected] of [
      [4, [300, 600]],
      [9, [300, 420]],
      [6, [60, 60]]
    ] as const) {
      minutes(after)
      grant = await refresh(one, grant.refresh_token)
      t.same([grant.status, grant.expires_in, grant.refresh_expires_in], [200, ...expected])
      t.equal(await verdict(one, grant.access_token), '200')
    }
    minutes(1)
    t.equal(await verdict(one, grant.access_token), 'token_expired')
    t.equal((await refresh(one, grant.refresh_token)).code, 'refresh_invalid', 'the cap')
    // Redis uses its own clock.
    if (backend.kind === 'redis') return
    const idle = await enter(one, 'erin')
    minutes(10)
    t.equal((await refresh(one, idle.refresh_token)).code, 'refresh_invalid', 'left alone')
  }
})
