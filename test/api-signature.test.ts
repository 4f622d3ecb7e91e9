/** API signatures: WeChat's vectors, and calls of an app that has them. */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { type Test, test } from 'tap'
import { systemClock } from '../src/clock.ts'
import { decryptBody, encryptBody, isSignedBody, signBody } from '../src/platforms/wechat/api-signature/envelope.ts'
import { createSigner } from '../src/platforms/wechat/api-signature/signer.ts'
import { createSandbox } from '../src/sandbox/server.ts'
import { configText, problems } from './support/config.ts'
import { call } from './support/egress.ts'
import { APP_SECRET, APPID, buildTestGateway, OTHER_APPID } from './support/gateway.ts'
import { startUpstream } from './support/upstream.ts'
import { vector } from './support/wechat-vectors.ts'

const REQUEST = 'apisec-request-gcm'
const SIGNED = 'apisec-response-signature'
const ANSWER = 'apisec-response-gcm'
const PATH = '/wxa/getuserriskrank'
const VECTOR_APP = 'wxba6223c06417af7b'
const VECTOR_KEY = {
  key: Buffer.from(vector(REQUEST, 'input', 'key_b64'), 'base64'),
  sn: 'fa05fe1e5bcc79b81ad5ad4b58acf787'
}
const pem = (key: KeyObject, type: 'pkcs8' | 'spki') => key.export({ type, format: 'pem' }).toString()
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const SYMMETRIC = { symmetricKey: Buffer.alloc(32, 7).toString('base64'), symmetricKeySn: 'sn1' }

test("a request is encrypted and an answer verified and decrypted as in WeChat's vectors", (t) => {
  const binding = { path: PATH, appId: VECTOR_APP, timestamp: '1635927954' }
  const iv = Buffer.from(vector(REQUEST, 'input', 'iv_b64'), 'base64')
  const body = vector(REQUEST, 'expected', 'postBody')
  t.equal(encryptBody(vector(REQUEST, 'input', 'plaintext'), VECTOR_KEY, binding, iv), body)
  t.equal(decryptBody(body, VECTOR_KEY, binding), vector(REQUEST, 'input', 'plaintext'))

  const answered = { ...binding, timestamp: '1635927956' }
  const answer = Buffer.from(vector(ANSWER, 'input', 'body'))
  const platformKey = createPublicKey(vector(SIGNED, 'input', 'certificatePem'))
  const signature = vector(SIGNED, 'expected', 'signature_b64')
  t.ok(isSignedBody(answer, answered, signature, platformKey))
  t.notOk(isSignedBody(answer, binding, signature, platformKey), 'of another time')
  t.equal(decryptBody(answer.toString(), VECTOR_KEY, answered), vector(ANSWER, 'expected', 'plaintext'))
  t.equal(decryptBody(answer.toString(), VECTOR_KEY, { ...answered, path: '/wxa/other' }), null)

  const own = signBody(answer, answered, privateKey)
  t.ok(isSignedBody(answer, answered, own, publicKey))
  t.end()
})

test('a sealed call names no serial number, keeps numbers as written, and opens the answer of the vector', (t) => {
  let now = 1_635_927_954_000
  const signer = createSigner({ now: () => now })
  const apiSignature = {
    symmetricKey: vector(REQUEST, 'input', 'key_b64'),
    symmetricKeySn: VECTOR_KEY.sn,
    privateKey: pem(privateKey, 'pkcs8'),
    platformKeys: [{ serial: vector(SIGNED, 'input', 'serial'), publicKey: vector(SIGNED, 'input', 'certificatePem') }]
  }
  const app = { appId: VECTOR_APP, secret: 'x', apiSignature }
  const body = '{ "id": 12345678901234567890, "a": 1.50 }'
  const sealed = signer.seal(app, { method: 'POST', path: PATH }, '?q=1&a=2&access_token=mine', body)
  t.ok(sealed)
  t.same(Object.keys(sealed?.headers ?? {}).sort(), [
    'content-type',
    'wechatmp-appid',
    'wechatmp-signature',
    'wechatmp-timestamp'
  ])
  const binding = { path: PATH, appId: VECTOR_APP, timestamp: '1635927954' }
  const text = decryptBody(sealed?.body ?? '', VECTOR_KEY, binding) ?? ''
  t.match(
    text,
    /^\{"_n":"[\w-]{22}","_appid":"wxba6223c06417af7b","_timestamp":1635927954,"q":"1","id": 12345678901234567890, "a": 1\.50\}$/
  )
  t.ok(isSignedBody(Buffer.from(sealed?.body ?? ''), binding, sealed?.headers['wechatmp-signature'] ?? '', publicKey))

  const headers = {
    'wechatmp-appid': VECTOR_APP,
    'wechatmp-timestamp': '1635927956',
    'wechatmp-serial': vector(SIGNED, 'input', 'serial'),
    'wechatmp-signature': vector(SIGNED, 'expected', 'signature_b64')
  }
  const answer = Buffer.from(vector(ANSWER, 'input', 'body'))
  const plain = '{"errcode":0,"errmsg":"getuserriskrank succ","risk_rank":0,"unoin_id":2258658297}'
  t.equal(sealed?.open(headers, answer).toString(), plain)
  const { 'wechatmp-serial': serial, 'wechatmp-signature': signature, ...rest } = headers
  const deprecated = { 'wechatmp-serial-deprecated': serial, 'wechatmp-signature-deprecated': signature }
  t.equal(
    sealed?.open({ ...rest, 'wechatmp-serial': 'new', 'wechatmp-signature': 'eA==', ...deprecated }, answer).toString(),
    plain
  )
  const refused: readonly (readonly [string, object, Buffer])[] = [
    ['unsigned', {}, Buffer.from(plain)],
    ['unsigned and encrypted', {}, answer],
    ['of another app', { ...headers, 'wechatmp-appid': 'wx1234567890' }, answer],
    ['of another key', { ...headers, 'wechatmp-serial': 'other' }, answer],
    ['of another time', { ...headers, 'wechatmp-timestamp': '1635927957' }, answer],
    ['changed', headers, Buffer.from(answer.toString().replace('HExs', 'HExt'))],
    ['not encrypted', headers, Buffer.from(plain)]
  ]
  for (const [title, given, bytes] of refused)
    t.throws(() => sealed?.open(given as Record<string, string>, bytes), { name: 'TransportFailure' }, title)
  const refusal = Buffer.from('{"errcode":40234,"errmsg":"invalid signature"}')
  t.equal(sealed?.open({}, refusal), refusal, 'a refusal may come unsigned')
  now += 303_000
  t.throws(() => sealed?.open(headers, answer), { message: 'the signature of the answer is wrong' }, 'older than 300 s')

  const seal = (path: string, method = 'POST', one = app, text: string | null = '{}') =>
    signer.seal(one, { method, path }, '', text)
  t.equal(seal('/wxa/getwxacodeunlimit'), null, 'answers with an image')
  t.equal(seal(PATH, 'GET'), null)
  t.ok(seal(PATH, 'POST', app, null), 'without a body')
  for (const bad of ['[]', 'a=1', '"x"', '{"_n":1}', '{"_timestamp":1}'])
    t.throws(() => seal(PATH, 'POST', app, bad), { code: 'invalid_request' }, bad)
  t.end()
})

async function build(t: Test, { serial }: { serial?: string } = {}) {
  const sandbox = createSandbox({ clock: systemClock })
  const { url } = await sandbox.listen(0, '127.0.0.1')
  t.teardown(() => sandbox.close())
  const platform = sandbox.state.apiSignatures.demand({ appId: APPID, ...SYMMETRIC, publicKey: pem(publicKey, 'spki') })
  const key = { serial: serial ?? platform?.serial, publicKey: platform?.publicKey }
  const apiSignature = { ...SYMMETRIC, privateKey: pem(privateKey, 'pkcs8'), platformKeys: [key] }
  const apps = [
    { appid: APPID, secret: APP_SECRET, apiSignature },
    { appid: OTHER_APPID, secret: APP_SECRET }
  ]
  const config = { apps, wechat: { apiBase: url, timeout: '30s' } }
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url, { sandbox, config })
  return { gateway, sandbox, url }
}

test('calls of backends and of the gateway are signed for an app with keys, and for no other app or path', async (t) => {
  const { gateway, sandbox } = await build(t)
  const login = await gateway.login('alice', APPID)
  const openid = sandbox.state.people.person(APPID, 'alice').openId
  const send = (path: string, body: object, appid = APPID) =>
    call(gateway, path, { method: 'POST', body: JSON.stringify(body) }, appid)
  const checked = await send('/wxa/msg_sec_check?version=2', { openid, content: 'sandbox-risky' })
  const text = await checked.text()
  t.match(JSON.parse(text), { errcode: 0, result: { suggest: 'risky' }, _n: undefined, _appid: undefined })
  t.equal(checked.headers.get('wechatmp-signature'), null)
  t.equal(checked.headers.get('content-length'), String(Buffer.byteLength(text)))
  t.match(await (await send('/wxa/msg_sec_check', { openid: 'o-unknown', content: 'x' })).json(), { errcode: 40003 })
  const [logged] = sandbox.state.calls.list('/wxa/msg_sec_check')
  t.same(Object.keys(logged?.params ?? {}).sort(), ['access_token', 'authtag', 'data', 'iv'])
  t.ok(logged?.headers.includes('wechatmp-signature'))
  t.notOk(logged?.headers.includes('wechatmp-serial'))

  sandbox.state.accessTokens.expire(APPID)
  t.match(await (await send('/wxa/msg_sec_check', { openid, content: 'x' })).json(), { errcode: 0 }, 'a new token')
  t.match(await (await send('/wxa/some/call', { a: 1 })).json(), { errcode: 0, echo: { body_bytes: 7 } })
  t.match(await (await send('/wxa/msg_sec_check', { openid, content: 'x' }, OTHER_APPID)).json(), { errcode: 40003 })
  const bad = await call(gateway, '/wxa/msg_sec_check', { method: 'POST', body: 'no json' })
  t.match(await bad.json(), { status: 400, code: 'invalid_request' })

  const code = sandbox.state.codes.mint({ kind: 'phone', name: 'alice', appId: APPID })
  const phone = await gateway.call('/auth/phone', {
    method: 'POST',
    token: login.access_token,
    body: JSON.stringify({ code })
  })
  t.match(await phone.json(), { phone: { country_code: '86' } })
  t.ok(sandbox.state.calls.list('/wxa/business/getuserphonenumber')[0]?.headers.includes('wechatmp-signature'))
})

test('an answer whose signature cannot be verified is refused', async (t) => {
  const { gateway, sandbox } = await build(t, { serial: 'another' })
  await gateway.login('alice', APPID)
  const openid = sandbox.state.people.person(APPID, 'alice').openId
  const body = JSON.stringify({ openid, content: 'x' })
  const answer = await call(gateway, '/wxa/msg_sec_check', { method: 'POST', body })
  t.match(await answer.json(), { status: 502, code: 'upstream_invalid' })
  t.match(gateway.lines.join(''), /the signature of the answer is wrong/)
})

test('the sandbox refuses a call that is not signed as WeChat wants it', async (t) => {
  const { sandbox, url } = await build(t)
  const { access_token: token } = sandbox.state.accessTokens.stable(APPID, false)
  const path = '/wxa/msg_sec_check'
  const key = { key: Buffer.from(SYMMETRIC.symmetricKey, 'base64'), sn: SYMMETRIC.symmetricKeySn }
  const send = async (headers: Record<string, string>, body: string) => {
    const response = await fetch(`${url}${path}?access_token=${token}`, { method: 'POST', headers, body })
    return ((await response.json()) as { errcode?: number }).errcode
  }
  const seconds = (offset = 0) => String(Math.floor(Date.now() / 1000) + offset)
  const signed = (timestamp: string, sn = key.sn, appId = APPID) => {
    const binding = { path, appId, timestamp }
    const text = JSON.stringify({ _n: 'x', _appid: APPID, _timestamp: Number(timestamp) })
    const body = encryptBody(text, { ...key, sn }, binding, Buffer.alloc(12, 1))
    const headers = {
      'wechatmp-appid': appId,
      'wechatmp-timestamp': timestamp,
      'wechatmp-signature': signBody(Buffer.from(body), binding, privateKey)
    }
    return { headers, body }
  }
  const good = signed(seconds())
  const { 'wechatmp-appid': _, ...noApp } = good.headers
  t.equal(await send({}, '{}'), 40231)
  t.equal(await send({ 'wechatmp-timestamp': seconds() }, '{}'), 40232)
  t.equal(await send(noApp, good.body), 40233)
  t.equal(await send(good.headers, `${good.body} `), 40234)
  t.equal(await send({ ...good.headers, 'wechatmp-serial': 'x' }, good.body), 40234)
  const otherSn = signed(seconds(), 'other')
  t.equal(await send(otherSn.headers, otherSn.body), 40235)
  const otherApp = signed(seconds(), key.sn, OTHER_APPID)
  t.equal(await send(otherApp.headers, otherApp.body), 40237)
  const old = signed(seconds(-400))
  t.equal(await send(old.headers, old.body), 40240)
  const control = (body: object) =>
    fetch(`${url}/sandbox/api-signature`, { method: 'POST', body: JSON.stringify(body) })
  t.equal((await control({ appid: OTHER_APPID, ...SYMMETRIC, publicKey: pem(publicKey, 'spki') })).status, 201)
  t.equal((await control({ appid: OTHER_APPID, ...SYMMETRIC, publicKey: 'x' })).status, 400)
})

test('keys that cannot be right are refused at their place in the file', (t) => {
  const good = { ...SYMMETRIC, privateKey: pem(privateKey, 'pkcs8') }
  const platformKeys = [{ serial: 'a', publicKey: pem(publicKey, 'spki') }]
  const said = (apiSignature: object) =>
    problems(configText({ apps: JSON.stringify([{ appid: 'wx1234', secret: 'a', apiSignature }]) })).join('\n')
  t.equal(said({ ...good, platformKeys }), '')
  t.match(
    said({ ...good, symmetricKey: 'c2hvcnQ=', platformKeys }),
    /apiSignature\.symmetricKey: must be the symmetric key/
  )
  t.match(said({ ...good, privateKey: pem(publicKey, 'spki'), platformKeys }), /apiSignature\.privateKey: must hold/)
  const own = [{ serial: 'a', publicKey: pem(privateKey, 'pkcs8') }]
  t.match(
    said({ ...good, platformKeys: own }),
    /platformKeys\[0\]\.publicKey: must hold a public key, not a private one/
  )
  t.match(said({ ...good, platformKeys: [...platformKeys, ...platformKeys] }), /is the number of another key/)
  t.match(said({ ...good, platformKeys: [] }), /platformKeys/)
  t.end()
})
