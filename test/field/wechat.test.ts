/** Answers of WeChat and of its developer tools, after reports from the field. */
import { createCipheriv, randomBytes } from 'node:crypto'
import { test } from 'tap'
import { decryptOpenData } from '../../src/platforms/wechat/open-data-cipher.ts'
import { APPID, buildTestGateway } from '../support/gateway.ts'

test('a phone code that WeChat refuses is phone_code_invalid, and needs no login', async (t) => {
  const gateway = await buildTestGateway(t, 'http://127.0.0.1:9')
  const { access_token: token } = await gateway.login('alice')
  const ask = (code: string) => gateway.call('/auth/phone', { method: 'POST', body: JSON.stringify({ code }), token })
  t.equal((await ask('sandbox-phone-alice-1')).status, 200)
  for (const code of ['sandbox-phone-alice-1', 'not-a-code']) {
    const refused = await ask(code)
    t.equal(refused.headers.get('www-authenticate'), null)
    t.match(await refused.json(), { status: 400, code: 'phone_code_invalid', action: 'none' })
  }
})

test('the mock code of developer tools without an AppID is code_invalid and names the AppID', async (t) => {
  const gateway = await buildTestGateway(t, 'http://127.0.0.1:9')
  const login = async (code: string) =>
    (await gateway.call('/auth/login', { method: 'POST', body: JSON.stringify({ code }) })).json()
  t.match(await login('the code is a mock one'), { status: 401, code: 'code_invalid', detail: /AppID/ })
  for (const code of ['a b', '登录', `${'x'.repeat(511)}!`]) {
    const problem = (await login(code)) as { detail: string }
    t.match(problem, { status: 400, code: 'invalid_request' })
    t.notMatch(problem.detail, /\^|\[A-Z/, 'not a regular expression')
  }
})

test('open data with raw control characters or broken UTF-8 is read, and its watermark still checked', async (t) => {
  const key = randomBytes(16)
  const now = 1_800_000_000_000
  const seal = (plain: Buffer) => {
    const iv = randomBytes(16)
    const cipher = createCipheriv('aes-128-cbc', key, iv)
    const encryptedData = Buffer.concat([cipher.update(plain), cipher.final()]).toString('base64')
    const input = { sessionKey: key.toString('base64'), encryptedData, iv: iv.toString('base64'), appId: APPID, now }
    return decryptOpenData(input)
  }
  const text = (nickName: string, appid = APPID) =>
    `{"nickName":"${nickName}",\n"watermark":{"appid":"${appid}","timestamp":${now / 1000}}}`
  for (let code = 0; code < 0x20; code++) {
    const raw = `a${String.fromCharCode(code)}\\"b`
    t.match(seal(Buffer.from(text(raw))), { nickName: `a${String.fromCharCode(code)}"b` }, `U+${code}`)
  }
  const [head = '', tail = ''] = text('a|b').split('|')
  const broken = seal(Buffer.concat([Buffer.from(head), Buffer.from([0xe4, 0xb8]), Buffer.from(tail)]))
  t.match(broken, { nickName: 'a\ufffdb' })
  t.equal(seal(Buffer.from(text('a\u0001b', 'wx0000000000000000'))), null)
  t.equal(seal(Buffer.from('{"watermark"\u0001:1}')), null)
})
