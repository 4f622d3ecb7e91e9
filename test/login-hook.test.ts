import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { test } from 'tap'
import { loadConfig } from '../src/config/load.ts'
import { readHookAnswer } from '../src/login/login-hook-answer.ts'
import { APPID, buildTestGateway, type Login, SERVICE_TOKEN, type TestGateway } from './support/gateway.ts'
import type { Teardown } from './support/listen.ts'
import { freePort } from './support/process.ts'
import { type Seen, startUpstream } from './support/upstream.ts'

type Answer = { status?: number; body?: unknown; after?: number; raw?: string } | 'hang' | 'reset'

/** A gateway whose hook answers with the current `answer`; `hooks` and `calls` are what the
 *  service received. */
async function build(
  t: Teardown,
  options: { onFailure?: 'refuse' | 'continue'; routes?: object[]; timeout?: string } = {}
) {
  const state: { answer: Answer | ((seen: Seen) => Promise<Answer>) } = { answer: { body: {} } }
  const upstream = await startUpstream(t, async (req, res, seen) => {
    if (seen.url !== '/hooks/login') return void res.end('{"ok":true}')
    const answer = typeof state.answer === 'function' ? await state.answer(seen) : state.answer
    if (answer === 'hang') return
    if (answer === 'reset') return void req.socket.resetAndDestroy()
    const text = answer.raw ?? (answer.body === undefined ? '' : JSON.stringify(answer.body))
    setTimeout(
      () => res.writeHead(answer.status ?? 200, { 'content-type': 'application/json' }).end(text),
      answer.after ?? 0
    )
  })
  const hook = {
    upstream: 'app',
    path: '/hooks/login',
    timeout: options.timeout ?? '10s',
    onFailure: options.onFailure ?? 'refuse',
    claims: ['level', 'roles', 'vip', 'points', 'note']
  }
  const gateway = await buildTestGateway(t, upstream.url, {
    config: { login: { hook }, ...(options.routes ? { routes: options.routes } : {}) }
  })
  return {
    gateway,
    state,
    hooks: () => upstream.seen.filter((seen) => seen.url === '/hooks/login'),
    calls: () => upstream.seen.filter((seen) => seen.url !== '/hooks/login')
  }
}

function claimsOf({ access_token }: Pick<Login, 'access_token'>): unknown {
  return JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString()).claims
}

async function refresh(gateway: TestGateway, { refresh_token }: Login): Promise<Login> {
  const body = JSON.stringify({ refresh_token })
  return (await (await gateway.call('/auth/refresh', { method: 'POST', body })).json()) as Login
}

test('the hook receives the user, and never a credential', async (t) => {
  const { gateway, hooks } = await build(t)
  const first = await gateway.login('sandbox-alice-1')
  await gateway.login('sandbox-alice-2')
  const { openId, unionId } = gateway.sandbox.state.people.person(APPID, 'alice')
  const bodies = hooks().map((seen) => JSON.parse(seen.body))
  const told = { appid: APPID, openid: openId, unionid: unionId, user: { id: first.user.id, status: 'anonymous' } }
  t.same(bodies, [
    { ...told, is_new: true },
    { ...told, is_new: false }
  ])
  const [seen] = hooks()
  t.equal(seen?.method, 'POST')
  t.equal(seen?.headers['content-type'], 'application/json')
  t.match(seen?.headers, { 'x-request-id': /^[0-9a-f]{32}$/, traceparent: /^00-/ })
  t.notOk(seen?.headers.authorization)
  const key = gateway.sandbox.state.people.sessionKeys(APPID, openId).current ?? ''
  t.notOk(JSON.stringify(hooks()).includes(key))
})

test('claims go into the token and stay there when it is refreshed', async (t) => {
  const { gateway, state, hooks } = await build(t)
  const claims = { level: 'gold', roles: ['admin', 'staff'], vip: true, points: 12.5 }
  state.answer = { body: { claims } }
  const login = await gateway.login('alice')
  t.same(claimsOf(login), claims)
  state.answer = { body: { claims: { level: 'lead' } } }
  const second = await refresh(gateway, login)
  t.same(claimsOf(second), claims)
  t.same(claimsOf(await refresh(gateway, second)), claims)
  t.equal(hooks().length, 1, 'a refresh does not call the hook')
  t.same(claimsOf(await gateway.login('sandbox-alice-2')), { level: 'lead' }, 'the next login has its own')
})

test('claims that are not allowed, of a wrong type or too large are left out and logged', async (t) => {
  const { gateway, state } = await build(t)
  const claims = {
    level: 'x'.repeat(257),
    roles: Array.from({ length: 33 }, () => 'r'),
    points: { nested: true },
    vip: null,
    note: 'ok',
    admin: true,
    sub: 'u_somebody',
    __proto__: 'x'
  }
  state.answer = {
    raw: `{"claims":${JSON.stringify(claims).replace('{', '{"__proto__":{"level":"x"},"constructor":"x",')}}`
  }
  t.same(claimsOf(await gateway.login('alice')), { note: 'ok' })
  const line = gateway.lines.find((one) => one.includes('login_hook_ignored')) ?? ''
  for (const name of ['claims.level', 'claims.roles', 'claims.points', 'claims.admin']) t.ok(line.includes(name), name)
  t.notOk(line.includes('claims.vip'), 'null is the same as absent')
})

test('all claims together must fit into the headers of a request', async (t) => {
  const { gateway, state } = await build(t)
  const text = '界'.repeat(150)
  state.answer = { body: { claims: { level: text, roles: [text], note: text } } }
  const login = await gateway.login('alice')
  t.same(Object.keys(claimsOf(login) as object), ['level', 'roles'])
  t.equal((await gateway.call('/api/x', { token: login.access_token })).status, 200)
})

test("the hook's user members reach the client, and cannot replace those of the gateway", async (t) => {
  const { gateway, state } = await build(t)
  const user = {
    nickname: '爱丽丝',
    points: { now: 3 },
    id: 'forged',
    is_new: 'forged',
    status: 'bound',
    openid: 'oX',
    unionId: 'uX'
  }
  state.answer = { body: { user } }
  const login = await gateway.login('alice')
  t.match(login.user, { nickname: '爱丽丝', points: { now: 3 }, id: /^u_/, is_new: true, status: 'anonymous' })
  t.same(Object.keys(login.user).sort(), ['id', 'is_new', 'nickname', 'points', 'status'])
  t.same(await gateway.login('alice'), login, 'the same code gives the same answer')
  state.answer = { body: { user: { text: 'x'.repeat(20_000) } } }
  t.same(Object.keys((await gateway.login('bob')).user).sort(), ['id', 'is_new', 'status'], 'too large')
})

test('a user whom the hook refuses is not logged in', async (t) => {
  const { gateway, state } = await build(t)
  const denials: [Answer, RegExp][] = [
    [{ status: 403, body: { detail: '账号已封禁' } }, /^账号已封禁$/],
    [{ status: 403 }, /does not let/],
    [{ status: 403, raw: '<html>' }, /does not let/],
    [{ body: { deny: true, detail: 'gone\r\nX-Evil: 1' } }, /^gone X-Evil: 1$/],
    [{ body: { deny: true, claims: { level: 'gold' } } }, /does not let/],
    [{ status: 403, body: { detail: 'x'.repeat(5000) } }, /^x{200}$/],
    [{ status: 403, body: { detail: { a: 1 } } }, /does not let/]
  ]
  for (const [index, [answer, detail]] of denials.entries()) {
    state.answer = answer
    const login = await gateway.login(`sandbox-alice-${index}`)
    t.match(login, { status: 403, code: 'login_blocked', action: 'none', detail })
    t.notOk('access_token' in login)
  }
  state.answer = { body: { deny: 'true' } }
  t.equal((await gateway.login('sandbox-alice-x')).status, 200, 'only deny: true refuses')
})

const FAILURES: Record<string, Answer> = {
  'no answer': 'hang',
  'a late answer': { body: {}, after: 2_000 },
  'a reset': 'reset',
  'status 500': { status: 500, body: {} },
  'status 404': { status: 404, body: {} },
  'status 302': { status: 302, body: {} },
  'no JSON': { raw: '<html>' },
  'an array': { raw: '[]' },
  null: { raw: 'null' },
  'invalid claims': { body: { claims: ['admin'] } },
  'an invalid user': { body: { user: 'alice' } },
  'too much': { body: { user: { text: 'x'.repeat(70_000) } } }
}

/** Ids of the sessions that begin from now on. */
function sessionsOf({ gateway }: TestGateway): readonly string[] {
  const { sessions } = gateway.parts
  const begun: string[] = []
  const begin = sessions.begin
  Object.assign(sessions, {
    begin: async (subject: Parameters<typeof begin>[0]) => {
      const session = await begin(subject)
      begun.push(session.id)
      return session
    }
  })
  return begun
}

test('with onFailure: refuse no user can log in while the hook fails', async (t) => {
  const { gateway, state } = await build(t, { timeout: '800ms' })
  const begun = sessionsOf(gateway)
  for (const [index, [what, answer]] of Object.entries(FAILURES).entries()) {
    state.answer = answer
    const login = await gateway.login(`sandbox-alice-${index}`)
    t.match(login, { status: 503, code: 'upstream_unavailable', action: 'retry' }, what)
    t.notOk('access_token' in login)
  }
  const line = gateway.lines.find((one) => one.includes('login_hook_failed'))
  t.match(line, /"reason":"[^"]+","upstream":"[^"]+","target":"127.0.0.1:\d+"/)
  t.notOk(gateway.lines.join('').includes(gateway.sandbox.state.people.person(APPID, 'alice').openId))
  t.same(begun, [])
  // A stall must not look like a failure of the hook.
  const { gateway: patient } = await build(t)
  const begunWell = sessionsOf(patient)
  t.equal((await patient.login('sandbox-alice-well')).status, 200)
  t.equal(begunWell.length, 1)
})

test('with onFailure: continue every user can log in, without claims', async (t) => {
  const { gateway, state } = await build(t, { timeout: '800ms', onFailure: 'continue' })
  for (const [index, [what, answer]] of Object.entries(FAILURES).entries()) {
    state.answer = answer
    const login = await gateway.login(`sandbox-alice-${index}`)
    t.equal(login.status, 200, what)
    t.equal(claimsOf(login), undefined, what)
  }
  const patient = await build(t, { onFailure: 'continue' })
  patient.state.answer = { status: 403 }
  const refused = await patient.gateway.login('sandbox-alice-no')
  t.match(refused, { status: 403, code: 'login_blocked' }, 'a refusal is not a failure')
})

test('an unreachable hook is tried at another target, and is upstream_unavailable without one', async (t) => {
  const upstream = await startUpstream(t, (_req, res) => void res.end('{"claims":{"level":"gold"}}'))
  const dead = { url: `http://127.0.0.1:${await freePort()}` }
  const hook = { path: '/hooks/login', claims: ['level'], timeout: '10s' }
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      login: { hook: { ...hook, upstream: 'app' } },
      upstreams: { app: { targets: [dead, { url: upstream.url }] } }
    }
  })
  for (const name of ['alice', 'bob', 'carol']) t.same(claimsOf(await gateway.login(name)), { level: 'gold' })
  const without = await buildTestGateway(t, upstream.url, {
    config: {
      login: { hook: { ...hook, upstream: 'gone' } },
      upstreams: { app: { targets: [{ url: upstream.url }] }, gone: { targets: [dead] } }
    }
  })
  t.match(await without.login('alice'), { status: 503, code: 'upstream_unavailable' })
})

test('a hook may end the older sessions of the user, and the new one lives', async (t) => {
  const { gateway, state } = await build(t)
  const older = await gateway.login('sandbox-alice-1')
  state.answer = async (seen) => {
    const { appid, openid } = JSON.parse(seen.body) as { appid: string; openid: string }
    await gateway.service(`/v1/users/${appid}/${openid}/sessions`, { method: 'DELETE', token: SERVICE_TOKEN })
    return { body: {} }
  }
  const newer = await gateway.login('sandbox-alice-2')
  t.equal((await gateway.call('/api/x', { token: newer.access_token })).status, 200)
  t.equal((await gateway.call('/api/x', { token: older.access_token })).status, 401)
})

test('a login that another caller waits for outlasts a slow hook', async (t) => {
  const { gateway, state, hooks } = await build(t)
  state.answer = { body: { claims: { level: 'gold' } }, after: 300 }
  const logins = await Promise.all([gateway.login('alice'), gateway.login('alice'), gateway.login('alice')])
  t.equal(new Set(logins.map((login) => login.access_token)).size, 1)
  t.equal(hooks().length, 1)
})

const MEMBERS = [
  { path: '/admin', upstream: 'app', require: { roles: ['admin', 'owner'] } },
  { path: '/gold', upstream: 'app', require: { level: ['gold'], vip: ['true'] } },
  { path: '/api', upstream: 'app', inject: { 'X-Member-Level': 'level', 'X-Roles': 'roles', 'X-Points': 'points' } }
]

test('a route that requires a claim admits only users with one of its values', async (t) => {
  const { gateway, state, calls } = await build(t, { routes: MEMBERS })
  const cases: [object, number, number][] = [
    [{}, 403, 403],
    [{ roles: ['staff'] }, 403, 403],
    [{ roles: ['staff', 'admin'] }, 200, 403],
    [{ roles: 'owner' }, 200, 403],
    [{ roles: 'admin,owner' }, 403, 403],
    [{ roles: ['ADMIN'] }, 403, 403],
    [{ level: 'gold' }, 403, 403],
    [{ level: 'gold', vip: true }, 403, 200],
    [{ level: 'gold', vip: false, roles: ['owner'] }, 200, 403],
    [{ level: ['silver', 'gold'], vip: 'true' }, 403, 200]
  ]
  for (const [index, [claims, admin, gold]] of cases.entries()) {
    state.answer = { body: { claims } }
    const { access_token: token } = await gateway.login(`sandbox-alice-${index}`)
    const onAdmin = await gateway.call('/admin/x', { token })
    t.equal(onAdmin.status, admin, `/admin ${JSON.stringify(claims)}`)
    if (admin === 403) t.match(await onAdmin.json(), { code: 'forbidden', action: 'none' })
    t.equal((await gateway.call('/gold', { token })).status, gold, `/gold ${JSON.stringify(claims)}`)
  }
  t.equal((await gateway.call('/admin/x')).status, 401)
  t.equal(calls().length, 5)
})

test('only the gateway can send a header that carries a claim', async (t) => {
  const { gateway, state, calls } = await build(t, { routes: MEMBERS })
  const forged = {
    'x-member-level': 'forged',
    'X-Roles': 'forged',
    'x.member.level': 'forged',
    X_Member_Level: 'forged'
  }
  const injected = async (claims: object) => {
    state.answer = { body: { claims } }
    const { access_token: token } = await gateway.login(`sandbox-alice-${calls().length}`)
    await gateway.call('/api/x', { token, headers: { ...forged, connection: 'keep-alive' } })
    const { rawHeaders } = calls().at(-1) as Seen
    return rawHeaders.flatMap((name, index) =>
      index % 2 === 0 && /member|roles|points/i.test(name) ? [[name, rawHeaders[index + 1]]] : []
    )
  }
  t.same(await injected({}), [])
  t.same(await injected({ level: 'gold', roles: ['a', 'b'], points: 7 }), [
    ['X-Member-Level', 'gold'],
    ['X-Roles', 'a,b'],
    ['X-Points', '7']
  ])
  t.same(await injected({ level: '黄金 会员' }), [['X-Member-Level', encodeURIComponent('黄金 会员')]])
  t.same(await injected({ level: 'a\r\nX-OpenId: oVictim' }), [['X-Member-Level', 'a%0D%0AX-OpenId%3A%20oVictim']])
  t.same(await injected({ level: '' }), [['X-Member-Level', '']])
})

test('the configuration on docs/login-hook.md is valid', async (t) => {
  const page = readFileSync(new URL('../docs/login-hook.md', import.meta.url), 'utf8')
  const blocks = [...page.matchAll(/```yaml\n([\s\S]+?)```/g)].map(([, yaml]) => yaml)
  const upstreams = ['members', 'backoffice', 'shop'].map(
    (name) => `${name}: { targets: [{ url: http://127.0.0.1:3000 }] }`
  )
  const rest = [
    `upstreams: { ${upstreams.join(', ')} }`,
    `apps: [{ appid: ${APPID}, secret: s3cret }]`,
    `secrets: [${'0123456789abcdef'.repeat(2)}]`
  ]
  const text = [...blocks, ...rest].join('\n')
  const options = { file: 'gateway.yaml', text, env: {}, production: false, allow: new Set<string>() }
  t.match(loadConfig(options), { ok: true, config: { login: { hook: { path: '/hooks/login' } } } })
})

test('no answer of a hook puts a disallowed claim into a token', async (t) => {
  const allowed = ['level', 'roles']
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 599 }), fc.json(), fc.jsonValue(), (status, text, value) => {
      for (const given of [JSON.parse(text), { claims: { level: value, other: value }, user: value }]) {
        const answer = readHookAnswer(status, given, allowed)
        if (answer === null) continue
        for (const [name, claim] of Object.entries(answer.claims)) {
          const isFlat = ['string', 'number', 'boolean'].includes(typeof claim)
          if (!allowed.includes(name) || (!isFlat && !Array.isArray(claim))) return false
        }
        if (Buffer.byteLength(JSON.stringify(answer.claims)) > 1100) return false
      }
      return true
    })
  )
  t.pass()
})
