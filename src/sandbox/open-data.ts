/** Encrypts open data as WeChat does. */
import { createCipheriv, randomBytes } from 'node:crypto'

/** `sessionKey` is base64 of 16 bytes. */
export function encryptOpenData(sessionKey: string, plaintext: string | Buffer): { encryptedData: string; iv: string } {
  const iv = randomBytes(16)
  const cipher = createCipheriv('aes-128-cbc', Buffer.from(sessionKey, 'base64'), iv)
  const encrypted = Buffer.concat([cipher.update(Buffer.from(plaintext)), cipher.final()])
  return { encryptedData: encrypted.toString('base64'), iv: iv.toString('base64') }
}
