/** Signatures, encryption and formats of message push. */
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
  t.equal(checkPushUrl(settings, query, now), '4375120948345356249')
  t.equal(checkPushUrl(settings, query, now + 301_000), null, 'too old')
  t.equal(checkPushUrl(settings, query, now - 301_000), null, 'too early')
  t.equal(checkPushUrl({ ...settings, token: 'BBBBB' }, query, now), null)
  t.equal(checkPushUrl(settings, { ...query, signature: query.signature.toUpperCase() }, now), null)
  t.equal(checkPushUrl(settings, { ...query, echostr: undefined }, now), null)
})

test('the published message in safe mode is read as it was sent', async (t) => {
  const signature = vector('push-safe-msg-signature', 'expected', 'signature')
  const body = JSON.stringify({ ToUserName: 'gh_97417a04a28d', Encrypt: ENCRYPTED })
  const message = readPush(settings, { ...SAFE, msg_signature: signature }, body, NOW)
  t.match(message, {
    openId: 'o9AgO5Kd5ggOC-bXrbNODIiE3bGY',
    event: 'debug_demo',
    json: vector('push-safe-decrypt-json', 'expected', 'msg'),
    format: 'json',
    isEncrypted: true,
    revokedOpenId: null
  })
})

test('a message that is not signed for this app is not read', async (t) => {
  const body = JSON.stringify({ ToUserName: 'gh', Encrypt: ENCRYPTED })
  const good = signed(ENCRYPTED)
  t.ok(readPush(settings, good, body, NOW))
  const foreign = encryptPush('{"a":1}', AES_KEY, 'wx0000000000000000')
  const refused: [string, Record<string, string | undefined>, string, number][] = [
    ['another text', good, JSON.stringify({ Encrypt: encryptPush('{}', AES_KEY, APPID) }), NOW],
    [
      'the signature that does not cover the body',
      { ...good, signature: good.msg_signature, msg_signature: undefined },
      body,
      NOW
    ],
    ['an old timestamp', good, body, NOW + 301_000],
    ['a future timestamp', good, body, NOW - 301_000],
    ['a timestamp that is no number', { ...good, timestamp: '1714112445x' }, body, NOW],
    ['an appid of somebody else inside', signed(foreign), JSON.stringify({ Encrypt: foreign }), NOW],
    ['no nonce', { ...good, nonce: undefined }, body, NOW],
    ['no JSON', good, '[1]', NOW],
    ['an encrypted text that is none', signed('AAAA'), '{"Encrypt":"AAAA"}', NOW],
    ['nothing', good, '', NOW],
    [
      'a plain body where encryption was announced',
      { ...good, signature: pushSignature(TOKEN, SAFE.timestamp, SAFE.nonce) },
      '{"a":1}',
      NOW
    ]
  ]
  for (const [title, query, text, now] of refused) t.equal(readPush(settings, query, text, now), null, title)
})

test('plain mode needs no key, and its signature is the published one', async (t) => {
  const query = {
    signature: vector('push-plain-post', 'expected', 'signature'),
    timestamp: '1714037059',
    nonce: '486452656'
  }
  const json =
    '{"ToUserName":"gh_1","FromUserName":"oABC_1","CreateTime":1714037059,"MsgType":"text","MsgId":23637352235060880,"Content":"hi"}'
  const plain = { ...settings, encodingAesKey: null }
  const message = readPush(plain, query, json, 1_714_037_059_000)
  t.match(message, { key: 'msg.23637352235060880', openId: 'oABC_1', event: 'text', json, isEncrypted: false })
  t.equal(readPush(plain, { ...query, signature: '0'.repeat(40) }, json, 1_714_037_059_000), null)
})

test('XML becomes JSON with the same members, and a repeat has the same key', async (t) => {
  const query = {
    signature: vector('push-plain-post', 'expected', 'signature'),
    timestamp: '1714037059',
    nonce: '486452656'
  }
  const xml = `<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oABC_1]]></FromUserName>
    <CreateTime>1714037059</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[user_authorization_revoke]]></Event>
    <OpenID><![CDATA[oUSER]]></OpenID><List><Item>1</Item><Item>2 &amp; 3</Item></List></xml>`
  const message = readPush(settings, query, xml, 1_714_037_059_000)
  t.match(message, { format: 'xml', openId: 'oABC_1', event: 'user_authorization_revoke', revokedOpenId: 'oUSER' })
  t.match(JSON.parse(message?.json ?? ''), { CreateTime: '1714037059', List: { Item: ['1', '2 & 3'] } })
  t.equal(readPush(settings, query, xml, 1_714_037_059_000)?.key, message?.key)
  t.not(readPush(settings, query, xml.replace('2 &amp; 3', 'x'), 1_714_037_059_000)?.key, message?.key)
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
  const message = readPush(settings, signed(ENCRYPTED), body, NOW)
  t.ok(message)
  if (message === null) return
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
