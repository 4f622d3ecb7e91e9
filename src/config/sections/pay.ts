/** `apps[].pay`: the merchant of WeChat Pay that a mini-program uses. */
import { type Static, Type } from '../../schema.ts'
import { platformKeyFault, rsaKeyFault } from '../pem.ts'
import type { Path } from '../problem.ts'
import type { Report } from '../report.ts'
import { type Draft, entries, reportRepeats } from '../section.ts'
import { mapping, matching, privatePem, publicPem, secret } from '../terms.ts'
import { eventDelivery, resolveEventDelivery } from './event-delivery.ts'
import { checkDestination, type UpstreamsDraft } from './upstreams.ts'

export const pay = mapping('WeChat Pay of a merchant, API v3. Payment results go to an upstream as JSON.', {
  mchid: matching(
    'Merchant number; in quotes, because it is text.',
    '^[0-9]{4,32}$',
    'a merchant number: 4 to 32 digits in quotes'
  ),
  serialNo: matching(
    'Serial number of the merchant certificate (apiclient_cert.pem), in hex.',
    '^[0-9A-Fa-f]{8,64}$',
    'the serial number of the merchant certificate in hex, without colons: openssl x509 -noout -serial -in apiclient_cert.pem'
  ),
  privateKey: privatePem('Private key of the merchant certificate (apiclient_key.pem) in PEM.'),
  apiV3Key: secret('APIv3 key, 32 characters.'),
  apiKey: Type.Optional(
    secret('Key of API v2, 32 characters: for a `sign_type` of MD5 or HMAC-SHA256 at `/v1/pay/params`.')
  ),
  ...eventDelivery,
  platformKeys: Type.Array(
    mapping('A public key of WeChat Pay.', {
      serial: matching(
        'Its id, such as PUB_KEY_ID_0110…; for a certificate its serial number in hex.',
        '^(?:PUB_KEY_ID_[0-9A-Za-z]{8,64}|[0-9A-Fa-f]{8,64})$',
        'an id such as PUB_KEY_ID_0110…, or the serial number of a platform certificate in hex'
      ),
      publicKey: publicPem('The key, or the platform certificate, in PEM.')
    }),
    {
      description:
        'Keys that verify answers and payment results. Without an entry the platform certificates are fetched.',
      default: [],
      maxItems: 64
    }
  )
})

type WrittenPay = Static<typeof pay>

/** AEAD_AES_256_GCM takes the bytes of the text as its key. */
const API_V3_KEY = /^[\x21-\x7e]{32}$/
const API_V2_KEY = /^[A-Za-z0-9]{32}$/

/** @param place `apps[index].pay`. */
export function checkPay(pay: Draft<WrittenPay>, place: Path, draft: UpstreamsDraft, report: Report): void {
  checkDestination(pay, place, draft, report)
  const { privateKey, apiV3Key, apiKey } = pay
  const keyFault = privateKey === undefined ? null : rsaKeyFault(privateKey)
  if (keyFault !== null) report.error([...place, 'privateKey'], keyFault.message, keyFault.hint)
  if (apiV3Key !== undefined && !API_V3_KEY.test(apiV3Key)) {
    const message = `must be the APIv3 key: 32 characters, these are ${Buffer.byteLength(apiV3Key)} bytes`
    report.error([...place, 'apiV3Key'], message, 'pay.weixin.qq.com, account centre, API security')
  }
  if (apiKey !== undefined && !API_V2_KEY.test(apiKey))
    report.error([...place, 'apiKey'], 'must be the key of API v2: 32 letters or digits')
  if (apiKey !== undefined && apiKey === apiV3Key)
    report.warn([...place, 'apiKey'], 'is the same as apiV3Key', 'give each API a key of its own')
  checkPlatformKeys(pay, place, report)
}

function checkPlatformKeys({ platformKeys }: Draft<WrittenPay>, place: Path, report: Report): void {
  const keys = entries(platformKeys)
  const pathOf = (index: number, key: string): Path => [...place, 'platformKeys', index, key]
  reportRepeats(
    keys.map(([index, { serial }]) => [pathOf(index, 'serial'), serial?.toUpperCase()]),
    (line) => `is the serial of another key, on line ${line}`,
    report
  )
  for (const [index, { serial, publicKey }] of keys) {
    if (serial === undefined || publicKey === undefined) continue
    const fault = platformKeyFault(publicKey, serial)
    if (fault !== null) report.error(pathOf(index, fault.part), fault.message, fault.hint)
  }
}

export function resolvePay(written: WrittenPay) {
  const { mchid, serialNo, privateKey, apiV3Key, apiKey, platformKeys } = written
  return {
    mchId: mchid,
    serialNo: serialNo.toUpperCase(),
    privateKey,
    apiV3Key,
    apiV2Key: apiKey ?? null,
    /** Empty: the platform certificates are fetched. */
    platformKeys: platformKeys.map(({ serial, publicKey }) => ({ serial: serial.toUpperCase(), publicKey })),
    ...resolveEventDelivery(written)
  }
}
