/** The encrypted channel of the mini-program client, against the gateway and the sandbox. */
import { createCipheriv, createHmac, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type Test, test } from 'tap'
import { giveUserKeys, latestUserKey } from './support/channel.ts'
import { APPID } from './support/gateway.ts'
import { startClient } from './support/mini-program.ts'
import { rejection, startPhone } from './support/phone.ts'
import { vector } from './support/wechat-vectors.ts'

type Bytes = Uint8Array

interface Modules {
  readonly encryptCbc: (key: Bytes, iv: Bytes, plain: Bytes) => Bytes
  readonly decryptCbc: (key: Bytes, iv: Bytes, sealed: Bytes) => Bytes | null
  readonly hmacSha256: (key: Bytes, message: Bytes) => Bytes
  readonly fromBase64: (text: string) => Bytes | null
  readonly fromText: (text: string) => Bytes
  readonly toText: (bytes: Bytes) => string
  readonly toBase64Url: (bytes: Bytes) => string
  readonly sealMessage: (sealing: object, content: object | null) => { header: string; body: Bytes }
  readonly openMessage: (
    direction: string,
    key: Bytes,
    place: readonly string[],
    sealed: { header: string; body: Bytes }
  ) => { type: string; body: Bytes } | null | false
}

/** The modules as a phone runs them. */
function loadModules(): Modules {
  const program = startClient()
  const files = ['aes.js', 'bytes.js', 'channel-format.js', 'sha256.js']
  return Object.assign({}, ...files.map((file) => program.load(file))) as Modules
}

const hex = (bytes: Bytes | null) => bytes && Buffer.from(bytes).toString('hex')

test("the phone's AES, HMAC and base64 agree with node:crypto and with WeChat's vector", (t) => {
  const { encryptCbc, decryptCbc, hmacSha256, fromBase64, fromText, toText, toBase64Url } = loadModules()
  for (let length = 0; length < 150; length += length < 70 ? 1 : 13) {
    const [key, iv, message] = [randomBytes(16), randomBytes(16), randomBytes(length)]
    const cipher = createCipheriv('aes-128-cbc', key, iv)
    const sealed = Buffer.concat([cipher.update(message), cipher.final()])
    t.equal(hex(encryptCbc(key, iv, message)), hex(sealed), `encrypts ${length} bytes`)
    t.equal(hex(decryptCbc(key, iv, sealed)), hex(message), `decrypts ${length} bytes`)
    t.equal(hex(hmacSha256(key, message)), createHmac('sha256', key).update(message).digest('hex'))
    t.equal(toBase64Url(message), message.toString('base64url'))
    t.equal(hex(fromBase64(message.toString('base64'))), hex(message))
  }
  const id = 'encrypt-channel-aes128cbc-derived'
  const key = fromBase64(vector(id, 'input', 'encrypt_key_b64')) ?? new Uint8Array(0)
  const sealed = encryptCbc(key, fromText(vector(id, 'input', 'iv_text')), fromText(vector(id, 'input', 'plaintext')))
  t.equal(Buffer.from(sealed).toString('base64'), vector(id, 'expected', 'ciphertext_b64'))
  for (const text of ['茶 🍵 é', '', 'plain']) t.equal(toText(fromText(text)), text)
  t.equal(toText(fromText('a\ud800b')), 'a\ufffdb')
  for (const bad of [new Uint8Array(0), new Uint8Array(15), new Uint8Array(32)])
    t.equal(decryptCbc(key, key, bad), null)
  t.equal(fromBase64('a b'), null)
  t.end()
})

test('the client makes and reads the vectors of the documentation', (t) => {
  const { sealMessage, openMessage, fromBase64, fromText } = loadModules()
  const page = readFileSync(new URL('../docs/channel.md', import.meta.url), 'utf8')
  const vectors = JSON.parse(/^```json\n(.*?)^```$/ms.exec(page)?.[1] ?? '') as {
    direction: string
    place: string[]
    content: { type: string; body: string } | null
    header: string
    ciphertext: string
  }[]
  const key = fromBase64('VI6BpyrK9XH4i4AIGe86tg==') ?? new Uint8Array(0)
  t.ok(vectors.length > 3)
  for (const { direction, place, content, header, ciphertext } of vectors) {
    const [, version, time, nonce = ''] = header.split('.')
    const sealing = { direction, key, version: Number(version), time: Number(time), nonce: fromBase64(nonce), place }
    const made = sealMessage(sealing, content && { type: content.type, body: fromText(content.body) })
    t.same([made.header, Buffer.from(made.body).toString('base64')], [header, ciphertext])
    const opened = openMessage(direction, key, place, { header, body: Buffer.from(ciphertext, 'base64') })
    t.same(opened && [opened.type, Buffer.from(opened.body).toString()], content && [content.type, content.body])
    t.equal(openMessage(direction, key, [...place, ''], { header, body: Buffer.from(ciphertext, 'base64') }), false)
  }
  t.end()
})

const CONFIG = {
  routes: [
    { path: '/safe', upstream: 'app', channel: true },
    { path: '/safe/item', upstream: 'app', channel: true, methodOverride: true },
    { path: '/api', upstream: 'app' }
  ]
}

async function start(t: Test) {
  const phone = await startPhone(t, {
    config: CONFIG,
    handler: (req, res, { url, body }) => {
      if (url === '/safe/moved') return void res.writeHead(302, { location: '/safe/there' }).end()
      if (url === '/safe/empty') return void res.writeHead(204).end()
      const status = url.includes('missing') ? 404 : 200
      res.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'x-own': '茶'.length.toString() })
      res.end(JSON.stringify({ method: req.method, url, type: req.headers['content-type'], body, note: '秘密' }))
    }
  })
  const keyCalls = giveUserKeys(phone.wx, phone.gateway)
  const sealed = () => phone.wire.requests.filter(({ path }) => path.startsWith('/safe'))
  return { ...phone, keyCalls, sealed }
}

test('requests and answers of a channel are sealed on the wire and plain for the caller', async (t) => {
  const { client, wire, upstream, keyCalls, sealed } = await start(t)
  const url = '/safe/pay?b=茶&c=%7e'
  const plainUrl = '/safe/pay?b=%E8%8C%B6&c=~'
  const ask = async (options: object) => {
    const { statusCode, data, header } = await client.request({ url, channel: true, ...options })
    return { statusCode, data, type: header['content-type'] }
  }
  const type = 'application/json; charset=utf-8'
  const json = { url: plainUrl, note: '秘密' }
  t.match(await ask({ method: 'post', data: { tea: '绿茶' } }), {
    statusCode: 200,
    type,
    data: { ...json, method: 'POST', type: 'application/json', body: '{"tea":"绿茶"}' }
  })
  t.match(await ask({ data: { q: 'x y', n: 1 } }), {
    data: { method: 'GET', url: `${plainUrl}&q=x%20y&n=1`, body: '' }
  })
  const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
  t.match(await ask({ method: 'PUT', header: form, data: { a: '茶' } }), {
    data: { method: 'PUT', type: form['Content-Type'], body: 'a=%E8%8C%B6' }
  })
  t.match(await ask({ method: 'DELETE' }), { data: { method: 'DELETE', body: '' } })
  t.match(await ask({ method: 'POST', data: new Uint8Array([104, 105]).buffer }), { data: { body: 'hi' } })
  const patch = {
    url: '/safe/item',
    method: 'POST',
    header: { 'x-http-method-override': 'patch' },
    data: { tea: '红茶' }
  }
  t.match(await ask(patch), { data: { method: 'PATCH', body: '{"tea":"红茶"}' } }, 'sealed for the method that counts')
  t.match(await ask({ url: '/safe/missing', dataType: 'text' }), { statusCode: 404, data: /"note":"秘密"/ })
  t.match(await ask({ url: '/safe/empty' }), { statusCode: 204, data: '' })
  t.match(await ask({ url: '/safe/moved' }), { data: { url: '/safe/there' } }, 'a redirect is sealed again')
  const { data: bytes } = await client.request<ArrayBuffer>({ url, channel: true, responseType: 'arraybuffer' })
  t.match(Buffer.from(bytes).toString(), /秘密/)

  const traffic = sealed()
  t.equal(traffic.length, 11)
  for (const { body, headers, path } of traffic) {
    t.match(headers, { 'content-type': 'application/octet-stream', 'wxgate-channel': /^v1\./ }, path)
    t.notMatch(body, /tea|茶|hi/)
  }
  t.equal(upstream.seen.length, 11)
  t.equal(keyCalls.count, 1, 'the key is kept')
  t.equal((await client.request({ url: '/api/x', method: 'POST', data: { tea: 1 } })).statusCode, 200)
  t.match(wire.requests.at(-1)?.body, /tea/, 'other requests stay as they were')
})

test('a wrong clock of the phone and a new key cost one repeat, and are then known', async (t) => {
  const { client, program, gateway, sealed, upstream } = await start(t)
  program.clockError = 6 * 60_000
  const ask = () => client.request({ url: '/safe/x', method: 'POST', data: { a: 1 }, channel: true })
  t.equal((await ask()).statusCode, 200)
  t.equal(sealed().length, 2)
  t.equal((await ask()).statusCode, 200)
  t.equal(sealed().length, 3)
  t.equal(upstream.seen.length, 2)

  await latestUserKey(gateway, 'alice', true)
  t.equal((await ask()).statusCode, 200, 'the key before is accepted for a while')
})

test('a key that the gateway refuses is asked for once more', async (t) => {
  const { client, wx, gateway, sealed } = await start(t)
  const manager = wx.getUserCryptoManager?.()
  const { encryptKey, version } = await latestUserKey(gateway, 'alice')
  let isFirst = true
  wx.getUserCryptoManager = () => ({
    getRandomValues: (options) => manager?.getRandomValues(options),
    getLatestUserKey({ success }) {
      success?.({ encryptKey, version: isFirst ? version + 9 : version, iv: '', expireTime: 0, errMsg: '' })
      isFirst = false
    }
  })
  t.equal((await client.request({ url: '/safe/x', channel: true })).statusCode, 200)
  t.equal(sealed().length, 2)
})

test('a session_key that WeChat has ended costs one login', async (t) => {
  const { client, gateway, wx } = await start(t)
  await client.login()
  const { people } = gateway.sandbox.state
  people.expireSessionKey(APPID, people.person(APPID, 'alice').openId)
  t.equal((await client.request({ url: '/safe/x', channel: true })).statusCode, 200)
  t.equal(wx.calls.login, 2)
})

test('an answer that is not sealed for this request is not given to the caller', async (t) => {
  const { client, wire, sealed } = await start(t)
  const ask = () => rejection(client.request({ url: '/safe/x', method: 'POST', data: { a: 1 }, channel: true }))
  const ok = { 'content-type': 'application/json' }
  wire.fault = ({ path }) => (path === '/safe/x' ? { status: 200, headers: ok, body: '{"paid":true}' } : null)
  t.match(await ask(), { code: 'invalid_response', status: 200 })
  const forged = { ...ok, 'wxgate-channel': String(sealed()[0]?.headers['wxgate-channel']) }
  wire.fault = ({ path }) => (path === '/safe/x' ? { status: 200, headers: forged, body: '' } : null)
  t.match(await ask(), { code: 'invalid_response' }, 'the request sent back')
  wire.fault = () => null
  t.equal(await ask(), null)
  t.match(
    await rejection(client.request({ url: '/safe/x' })),
    { code: 'channel_invalid', status: 400 },
    'without channel'
  )
})

test('without a key of WeChat nothing is sent', async (t) => {
  const { client, wx, sealed } = await start(t)
  const manager = wx.getUserCryptoManager?.()
  const ask = () => rejection(client.request({ url: '/safe/x', channel: true }))
  if (!manager) throw new Error('no manager')
  wx.getUserCryptoManager = () => ({
    ...manager,
    getLatestUserKey: ({ fail }) => fail?.({ errMsg: 'getLatestUserKey:fail no login' })
  })
  t.match(await ask(), { code: 'channel_unavailable', errMsg: 'getLatestUserKey:fail no login' })
  wx.getUserCryptoManager = () => ({
    ...manager,
    getRandomValues: ({ success }) => success?.({ randomValues: new ArrayBuffer(3), errMsg: '' })
  })
  t.match(await ask(), { code: 'channel_unavailable' })
  delete wx.getUserCryptoManager
  t.match(await ask(), { code: 'channel_unavailable', detail: /2\.17\.3/ })
  t.equal(sealed().length, 0)
  wx.getUserCryptoManager = () => manager
  t.equal(await ask(), null)
})
