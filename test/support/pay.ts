/** A merchant of WeChat Pay with its keys. */
import { generateKeyPairSync } from 'node:crypto'

export interface KeyPair {
  readonly publicKey: string
  readonly privateKey: string
}

export function generateRsa(): KeyPair {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' }
  })
}

export const MCHID = '1900000001'
export const SERIAL = '5D957685056E0E26CFCEE83165CD5B81E4C0BDD3'
export const API_V3_KEY = 'canaryApiV3Key0123456789abcdefgh'
export const API_V2_KEY = 'canaryApiV2Key0123456789abcdefgh'

/** `apps[].pay` of a test. */
export function payConfig({ privateKey }: KeyPair, changes: Readonly<Record<string, unknown>> = {}) {
  return {
    mchid: MCHID,
    serialNo: SERIAL,
    privateKey,
    apiV3Key: API_V3_KEY,
    upstream: 'app',
    path: '/paid',
    ...changes
  }
}
