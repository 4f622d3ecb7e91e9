/** Data that the mini-program of a sandbox user would send: open data under the user's
 *  session_key, and phone codes. */
import { APPID, type TestGateway } from './gateway.ts'

export interface SandboxOpenData {
  readonly encryptedData: string
  readonly iv: string
  readonly rawData: string
  readonly signature: string
}

type Fields = Readonly<Record<string, unknown>>

async function control(gateway: TestGateway, path: string, fields: Fields): Promise<unknown> {
  const response = await fetch(`${gateway.sandboxUrl}/sandbox/${path}`, {
    method: 'POST',
    body: JSON.stringify({ appid: APPID, ...fields })
  })
  if (!response.ok) throw new Error(`the sandbox answered ${response.status}: ${await response.text()}`)
  return response.json()
}

/** `data`, `kind`, `key` and `rawData` as in docs/sandbox.md. */
export async function sandboxOpenData(gateway: TestGateway, user: string, fields: Fields = {}) {
  return (await control(gateway, 'open-data', { user, ...fields })) as SandboxOpenData
}

export async function sandboxPhoneCode(gateway: TestGateway, user: string, fields: Fields = {}): Promise<string> {
  return ((await control(gateway, 'phone-codes', { user, ...fields })) as { code: string }).code
}

export async function sandboxSessionKey(
  gateway: TestGateway,
  user: string,
  action: 'rotate' | 'expire',
  appid = APPID
) {
  await control(gateway, 'session-keys', { user, action, appid })
}
