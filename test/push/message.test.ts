/** Signatures, encryption and formats of message push. */
import { createCipheriv } from 'node:crypto'
import { test } from 'tap'
import { decryptPush, encryptPush, pushSignature } from '../../src/platforms/wechat/push/cipher.ts'
import { checkPushUrl, readPush } from '../../src/platforms/wechat/push/message.ts'
import { replyToPush } from '../../src/platforms/wechat/push/reply.ts'
import { parseXml, writeXml } from '../../src/platforms/wechat/push/xml.ts'
import { vector } from '../support/wechat-vectors.ts'

const TOKEN = 'AAAAA'
const AES_KEY = 'A'.repeat(43)
const APPID = 'wxba5fad812f8e6fb9'
const settings = { appId: APPID, token: TOKEN, encodingAesKey: AES_KEY }
const NOW = 1_714_112_445_000
const ENCRYPTED = vector('push-safe-decrypt-json', 'input', 'encrypt_b64')
const SAFE = { timestamp: '1714112445', nonce: '415670741', encrypt_type: 'aes' }

/** The message, or the reason of the refusal. */
function read(...args: Parameters<typeof readPush>) {
  const reading = readPush(...args)
  return reading.refusal ?? reading.message
}

function signed(encrypted: string, query: { timestamp: string; nonce: string } = SAFE) {
  return { ...SAFE, ...query, msg_signature: pushSignature(TOKEN, query.timestamp, query.nonce, encrypted) }
}

test('the published URL check is answered with its echostr', async (t) => {
  const query = {
    signature: vector('push-url-verify', 'expected', 'signature'),
    timestamp: '1714036504',
    nonce: '1514711492',
    echostr: vector('push-url-verify', 'input', 'echostr')
  }
  const now = 1_714_036_504_000
  t.equal(checkPushUrl(settings, query, now)?.echo, '4375120948345356249')
  t.equal(checkPushUrl(settings, query, now + 301_000), null, 'too old')
  t.equal(checkPushUrl(settings, query, now - 301_000), null, 'too early')
  t.equal(checkPushUrl({ ...settings, token: 'BBBBB' }, query, now), null)
  t.equal(checkPushUrl(settings, { ...query, signature: query.signature.toUpperCase() }, now), null)
  t.equal(checkPushUrl(settings, { ...query, echostr: undefined }, now), null)
})

test('the published message in safe mode is read as it was sent', async (t) => {
  const signature = vector('push-safe-msg-signature', 'expected', 'signature')
  const body = JSON.stringify({ ToUserName: 'gh_97417a04a28d', Encrypt: ENCRYPTED })
  const message = read(settings, { ...SAFE, msg_signature: signature }, body, NOW)
  t.match(message, {
    openId: 'o9AgO5Kd5ggOC-bXrbNODIiE3bGY',
    event: 'debug_demo',
    json: vector('push-safe-decrypt-json', 'expected', 'msg'),
    format: 'json',
    isEncrypted: true,
    revokedOpenId: null
  })
})

const PLAIN = {
  signature: vector('push-plain-post', 'expected', 'signature'),
  timestamp: '1714037059',
  nonce: '486452656'
}
const PLAIN_NOW = 1_714_037_059_000
const withoutKey = { ...settings, encodingAesKey: null }

test('a message that is not signed and encrypted for this app is not read', async (t) => {
  const body = JSON.stringify({ ToUserName: 'gh', Encrypt: ENCRYPTED })
  const good = signed(ENCRYPTED)
  t.match(read(settings, good, body, NOW), { isEncrypted: true })
  const sealed = (encrypted: string) => [signed(encrypted), JSON.stringify({ Encrypt: encrypted })] as const
  const foreign = sealed(encryptPush('{"a":1}', AES_KEY, 'wx0000000000000000'))
  const otherKey = sealed(encryptPush('{"a":1}', 'B'.repeat(43), APPID))
  const inner = sealed(encryptPush('<!DOCTYPE a><xml/>', AES_KEY, APPID))
  const { msg_signature: _, ...unsigned } = good
  const refused: [string, string, Record<string, string | undefined>, string, number?][] = [
    ['another text', 'signature', good, JSON.stringify({ Encrypt: encryptPush('{}', AES_KEY, APPID) })],
    ['the signature of the query alone', 'plain', { ...unsigned, signature: plainSignature() }, body],
    ['that signature in place of the other', 'signature', { ...good, msg_signature: plainSignature() }, body],
    ['a plain body announced as encrypted', 'plain', { ...unsigned, signature: plainSignature() }, '{"a":1}'],
    ['an encrypted body in plain mode', 'encrypted', { ...PLAIN }, body, PLAIN_NOW],
    ['a plain body with an announced signature', 'format', good, '{"a":1}'],
    ['an old timestamp', 'timestamp', good, body, NOW + 301_000],
    ['a future timestamp', 'timestamp', good, body, NOW - 301_000],
    ['a timestamp that is no number', 'timestamp', { ...good, timestamp: '1714112445x' }, body],
    ['no nonce', 'timestamp', { ...good, nonce: undefined }, body],
    ['another appid inside', 'encryption', ...foreign],
    ['another key', 'encryption', ...otherKey],
    ['an encrypted text that is none', 'encryption', ...sealed('AAAA')],
    ['a document type inside', 'format', ...inner],
    ['no object', 'format', good, '[1]'],
    ['nothing', 'format', good, ''],
    ['two encrypted texts', 'format', good, `<xml><Encrypt>${ENCRYPTED}</Encrypt><Encrypt>a</Encrypt></xml>`]
  ]
  for (const [title, reason, query, text, now = NOW] of refused)
    t.equal(read(settings, query, text, now), reason, title)
})

const plainSignature = () => pushSignature(TOKEN, SAFE.timestamp, SAFE.nonce)

test('padding is 1 to 32 equal bytes, and the length inside stays within the text', async (t) => {
  const key = Buffer.from(`${AES_KEY}=`, 'base64')
  const seal = (plain: Buffer) => {
    const cipher = createCipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false)
    return Buffer.concat([cipher.update(plain), cipher.final()]).toString('base64')
  }
  const head = (length: number) => {
    const bytes = Buffer.alloc(20, 'r')
    bytes.writeUInt32BE(length, 16)
    return bytes
  }
  const build = (length: number, padding: number[]) =>
    seal(Buffer.concat([head(length), Buffer.from(`{"a":12345}${APPID}`), Buffer.from(padding)]))
  const whole = 20 + 11 + APPID.length
  const missing = 64 - whole
  const pad = (count: number, value = count) => Array.from({ length: count }, () => value)
  t.equal(decryptPush(build(11, pad(missing)), AES_KEY, APPID), '{"a":12345}')
  t.equal(decryptPush(build(11, pad(missing, 0)), AES_KEY, APPID), null, 'zero')
  t.equal(decryptPush(build(11, pad(missing, 33)), AES_KEY, APPID), null, 'too long')
  t.equal(decryptPush(build(11, [...pad(missing - 1, 1), missing]), AES_KEY, APPID), null, 'unequal bytes')
  t.equal(decryptPush(build(0xffffffff, pad(missing)), AES_KEY, APPID), null, 'a length beyond the text')
  t.equal(decryptPush(build(10, pad(missing)), AES_KEY, APPID), null, 'a shorter length')
  t.equal(decryptPush(seal(Buffer.alloc(32, 32)), AES_KEY, APPID), null, 'padding alone')
})

test('plain mode needs no key, and its signature is the published one', async (t) => {
  const json =
    '{"ToUserName":"gh_1","FromUserName":"oABC_1","CreateTime":1714037059,"MsgType":"text","MsgId":23637352235060880,"Content":"hi"}'
  const message = read(withoutKey, PLAIN, json, PLAIN_NOW)
  t.match(message, { key: 'msg.23637352235060880', openId: 'oABC_1', event: 'text', json, isEncrypted: false })
  t.equal(read(withoutKey, { ...PLAIN, signature: '0'.repeat(40) }, json, PLAIN_NOW), 'signature')
  t.equal(read(withoutKey, { ...PLAIN, encrypt_type: 'aes' }, json, PLAIN_NOW), 'encrypted')
  t.equal(read(withoutKey, PLAIN, '{"Encrypt":"AAAA"}', PLAIN_NOW), 'encrypted')
})

test('XML becomes JSON with the same members, and a repeat has the same key', async (t) => {
  const xml = `<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oWECHAT_1]]></FromUserName>
    <CreateTime>1714037059</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[user_authorization_revoke]]></Event>
    <OpenID><![CDATA[oUSER]]></OpenID><List><Item>1</Item><Item>2 &amp; 3</Item></List></xml>`
  const keyOf = (text: string) => {
    const reading = readPush(withoutKey, PLAIN, text, PLAIN_NOW)
    if (reading.refusal !== null) t.fail(reading.refusal)
    return reading.refusal === null ? reading.message.key : ''
  }
  const message = read(withoutKey, PLAIN, xml, PLAIN_NOW)
  t.match(message, { format: 'xml', openId: 'oUSER', event: 'user_authorization_revoke', revokedOpenId: 'oUSER' })
  t.match(JSON.parse(Object(message).json), { CreateTime: '1714037059', List: { Item: ['1', '2 & 3'] } })
  t.equal(keyOf(xml), keyOf(xml))
  t.not(keyOf(xml), keyOf(xml.replace('2 &amp; 3', 'x')))
  const text = (content: string) => `<xml><Content><![CDATA[${content}]]></Content><MsgId>17</MsgId></xml>`
  t.equal(keyOf(text('<MsgId>99</MsgId>')), 'msg.17', 'the text of a user names no MsgId')
  t.equal(keyOf('{"Content":"\\"MsgId\\":99","MsgId":23637352235060881,"a":{"MsgId":5}}'), 'msg.23637352235060881')
  t.equal(keyOf('{"MsgId":17}'), 'msg.17')
  t.match(keyOf('<xml><FromUserName><a>1</a></FromUserName><MsgId><b/></MsgId></xml>'), /^event\./)
})

test('XML with a document type, unknown entities, errors or great depth is refused', async (t) => {
  const bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><xml><a>&b;</a></xml>'
  const refused = [
    bomb,
    '<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml/>',
    '<xml><a>&b;</a></xml>',
    '<xml><a></xml>',
    '<xml>',
    '',
    'text'
  ]
  for (const text of refused) t.equal(parseXml(text), null, text)
  t.equal(parseXml(`${'<a>'.repeat(17)}${'</a>'.repeat(17)}`), null, 'deep')
  t.equal(parseXml(`<xml>${'<a/>'.repeat(10_001)}</xml>`), null, 'many')
  t.same(parseXml('<xml><a>1</a><__proto__>x</__proto__></xml>')?.a, '1')
  t.equal(({} as Record<string, unknown>).x, undefined)
})

test('a reply has the format and the mode of the message', async (t) => {
  const body = JSON.stringify({ ToUserName: 'gh', Encrypt: ENCRYPTED })
  const message = read(settings, signed(ENCRYPTED), body, NOW)
  if (typeof message === 'string') throw new Error(message)
  t.same(replyToPush(settings, message, '', NOW)?.body, 'success')
  t.same(replyToPush(settings, message, 'success\n', NOW)?.body, 'success')
  t.equal(replyToPush(settings, message, 'OK', NOW), null)
  t.equal(replyToPush(settings, message, '[1]', NOW), null)
  const sealed = JSON.parse(replyToPush(settings, message, '{"demo_resp":"good luck"}', NOW)?.body ?? '{}')
  t.equal(decryptPush(sealed.Encrypt, AES_KEY, APPID), '{"demo_resp":"good luck"}')
  t.equal(sealed.MsgSignature, pushSignature(TOKEN, String(sealed.TimeStamp), sealed.Nonce, sealed.Encrypt))
  t.type(sealed.TimeStamp, 'number')
  const plain = replyToPush(
    settings,
    { ...message, format: 'xml', isEncrypted: false },
    '{"MsgType":"a]]>b","N":1}',
    NOW
  )
  t.same(parseXml(plain?.body ?? ''), { MsgType: 'a]]>b', N: '1' })
  t.equal(writeXml('xml', { 'a b': 1, ok: null }), '<xml></xml>')
  const deep = JSON.parse(`${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`)
  t.ok(parseXml(writeXml('xml', deep)), 'not deeper than a message may be')
})

test('the published reply is encrypted to the published text', async (t) => {
  const read = (part: 'input' | 'expected', field: string) => vector('push-safe-encrypt-reply', part, field)
  const text = encryptPush(
    read('input', 'msg'),
    read('input', 'encodingAESKey'),
    read('input', 'appid'),
    Buffer.from(read('input', 'random'))
  )
  t.equal(text, read('expected', 'encrypt_b64'))
  t.equal(
    pushSignature(TOKEN, read('input', 'timestamp'), read('input', 'nonce'), text),
    read('expected', 'msgSignature')
  )
})
