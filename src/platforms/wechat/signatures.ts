/** Signatures that need session_key or the key of virtual payment. */
import { createHmac } from 'node:crypto'

/** Login-state signature (checksession, virtual payment): HMAC-SHA256 over exactly these bytes,
 *  lower-case hex. The key is the base64 text of session_key itself, not the decoded bytes. A GET
 *  signs the empty string. */
export function loginStateSignature(sessionKey: string, body: string | Uint8Array): string {
  return createHmac('sha256', sessionKey).update(body).digest('hex')
}

/** `pay_sig` of virtual payment. `uri` has no query; for wx.requestVirtualPayment it is the
 *  word `requestVirtualPayment` and the body is its signData. The app key depends on the
 *  environment (0 live, 1 sandbox). */
export function paySignature(appKey: string, uri: string, body: string | Uint8Array): string {
  return createHmac('sha256', appKey).update(uri).update('&').update(body).digest('hex')
}
