/** Signatures, encryption and paths of WeChat Pay, against WeChat's published values. */
import { createPrivateKey, createPublicKey, verify, X509Certificate } from 'node:crypto'
import { test } from 'tap'
import { judgeTarget } from '../../src/platforms/wechat/pay/paths.ts'
import { decryptResource } from '../../src/platforms/wechat/pay/resource.ts'
import {
  authorization,
  isSignedBy,
  PAY_WINDOW_MS,
  paymentText,
  paySignV2,
  readSignature,
  requestText,
  signText,
  signV2
} from '../../src/platforms/wechat/pay/signing.ts'
import { generateRsa, MCHID, SERIAL } from '../support/pay.ts'
import { vector } from '../support/wechat-vectors.ts'

const STAMP = { timestamp: '1490840662', nonce: '5K8264ILTKCH16CQ2502SI8ZNMTM67VS' }
const V2_KEY = 'qazwsxedcrfvtgbyhnujmikolp111111'
const PACKAGE = 'prepay_id=wx2017033010242291fcfe0db70013231072'
const RSA = generateRsa()

test('paySign of API v2 is the one that WeChat publishes', async (t) => {
  const sign = paySignV2('wxd678efh567hg6787', STAMP, PACKAGE, { signType: 'MD5', key: V2_KEY })
  t.equal(sign, vector('pay-v2-paySign-md5', 'expected', 'hexUpper'))
  t.equal(
    signV2(vector('pay-v2-sign-md5', 'input', 'data'), 'MD5', ''),
    vector('pay-v2-sign-md5', 'expected', 'hexUpper')
  )
  t.match(paySignV2('wx1', STAMP, PACKAGE, { signType: 'HMAC-SHA256', key: V2_KEY }), /^[0-9A-F]{64}$/)
})

test('texts of API v3 end each line, and are signed by RSA with SHA-256', async (t) => {
  const text = paymentText('wx1', STAMP, PACKAGE)
  t.equal(text, `wx1\n${STAMP.timestamp}\n${STAMP.nonce}\n${PACKAGE}\n`)
  t.equal(requestText('GET', '/v3/a?b=1', STAMP, ''), `GET\n/v3/a?b=1\n${STAMP.timestamp}\n${STAMP.nonce}\n\n`)
  const signature = await signText(text, createPrivateKey(RSA.privateKey))
  t.ok(verify('RSA-SHA256', Buffer.from(text), RSA.publicKey, Buffer.from(signature, 'base64')))
  t.equal(
    authorization({ mchId: MCHID, serialNo: SERIAL }, STAMP, 'c2lnbg=='),
    `WECHATPAY2-SHA256-RSA2048 mchid="${MCHID}",nonce_str="${STAMP.nonce}",timestamp="${STAMP.timestamp}",serial_no="${SERIAL}",signature="c2lnbg=="`
  )
})

test('a notice of WeChat is verified with its certificate, byte for byte', async (t) => {
  const id = 'pay-v3-notify-verify'
  const names = ['Wechatpay-Timestamp', 'Wechatpay-Nonce', 'Wechatpay-Serial']
  const headers = {
    ...Object.fromEntries(names.map((name) => [name.toLowerCase(), vector(id, 'input', name)])),
    'wechatpay-signature': vector(id, 'expected', 'signature_b64')
  }
  const now = Number(vector(id, 'input', 'Wechatpay-Timestamp')) * 1000
  const certificate = new X509Certificate(vector(id, 'input', 'certificatePem'))
  const signature = readSignature(headers, now)
  if (typeof signature === 'string') throw new Error(signature)
  t.equal(signature.serial, certificate.serialNumber)
  const body = Buffer.from(vector(id, 'input', 'body'))
  t.ok(isSignedBy(certificate.publicKey, signature, body))
  t.notOk(isSignedBy(certificate.publicKey, signature, Buffer.concat([body, Buffer.from(' ')])))
  t.notOk(isSignedBy(createPublicKey(RSA.publicKey), signature, body))
  const refused: Record<string, string | string[] | undefined>[] = [
    { 'wechatpay-signature': undefined },
    { 'wechatpay-signature': `WECHATPAY/SIGNTEST/${headers['wechatpay-signature'].slice(20)}` },
    { 'wechatpay-signature': 'x' },
    { 'wechatpay-signature': ['a', 'b'] },
    { 'wechatpay-serial': undefined },
    { 'wechatpay-serial': '../../key' },
    { 'wechatpay-nonce': undefined },
    { 'wechatpay-timestamp': '1e9' },
    { 'wechatpay-timestamp': undefined },
    { 'wechatpay-signature-type': 'WECHATPAY2-SM2-WITH-SM3' }
  ]
  for (const change of refused) t.type(readSignature({ ...headers, ...change }, now), 'string', JSON.stringify(change))
  for (const away of [PAY_WINDOW_MS, -PAY_WINDOW_MS]) {
    t.type(readSignature(headers, now + away), 'object')
    t.type(readSignature(headers, now + away * 1.01), 'string')
  }
})

test('resources of WeChat decrypt, and nothing else does', async (t) => {
  for (const id of ['pay-v3-notify-resource-decrypt', 'pay-v3-aesgcm-256-derived']) {
    const [ciphertext, nonce, key] = ['ciphertext', 'nonce', 'apiv3key_utf8'].map((name) => vector(id, 'input', name))
    const resource = { ciphertext, nonce, associated_data: vector(id, 'input', 'associated_data') }
    t.equal(decryptResource(resource, key ?? '')?.toString(), vector(id, 'expected', 'plaintext'))
    const flipped = `${ciphertext?.startsWith('A') ? 'B' : 'A'}${ciphertext?.slice(1)}`
    const wrong = [
      { ...resource, ciphertext: flipped },
      { ...resource, ciphertext: 'AAAA' },
      { ...resource, ciphertext: '' },
      { ...resource, associated_data: 'other' },
      { ...resource, associated_data: 1 },
      { ...resource, nonce: 'other nonce!' },
      { ...resource, nonce: '' },
      { ...resource, algorithm: 'AEAD_AES_128_GCM' },
      null,
      'text'
    ]
    for (const one of wrong) t.equal(decryptResource(one, key ?? ''), null, JSON.stringify(one))
    t.equal(decryptResource(resource, (key ?? '').replace(/.$/, '#')), null)
  }
})

test('only plain paths below /v3/ may be called', async (t) => {
  const targets: Record<string, string> = {
    '/v3/pay/transactions/jsapi': 'plain',
    '/v3/pay/transactions/out-trade-no/T1?mchid=1900000001': 'plain',
    '/v3': 'foreign',
    '/v3/': 'foreign',
    '/v2/x': 'foreign',
    '/V3/x': 'foreign',
    '/pay/unifiedorder': 'foreign',
    '/xpay/query_order': 'foreign',
    '/v3/certificates': 'certificates',
    '/v3/Certificates?x=1': 'certificates',
    '/v3/billdownload/file?token=x': 'unverifiable',
    '/v3/merchant/media/upload': 'unverifiable',
    'v3/x': 'ambiguous',
    '//evil.example/v3/x': 'ambiguous',
    'https://evil.example/v3/x': 'ambiguous',
    '/v3/../secapi/x': 'ambiguous',
    '/v3/%2e%2e/x': 'ambiguous',
    '/v3/a%2Fb': 'ambiguous',
    '/v3//x': 'ambiguous',
    '/v3/x;a': 'ambiguous',
    '/v3/x\\y': 'ambiguous',
    '/v3/%63ertificates': 'ambiguous',
    '/v3/x?a=\r\nHost: evil': 'ambiguous',
    '/v3/x?a=é': 'ambiguous',
    '/v3/x#y': 'ambiguous'
  }
  for (const [target, verdict] of Object.entries(targets)) t.equal(judgeTarget(target), verdict, target)
})
