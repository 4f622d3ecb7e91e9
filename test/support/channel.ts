/** A sender of encrypted requests. It shares the wire format with the gateway; the vectors hold
 *  it to the documentation. */
import { randomBytes } from 'node:crypto'
import type { Wx } from '../../miniprogram/miniprogram_dist/index.d.ts'
import { openMessage, parseChannelHeader, sealMessage } from '../../src/proxy/transforms/channel-format.ts'
import { APPID, type Login, type TestGateway } from './gateway.ts'

export interface UserKey {
  readonly encryptKey: string
  readonly version: number
}

/** As wx.getUserCryptoManager().getLatestUserKey gives it. */
export async function latestUserKey({ sandboxUrl }: TestGateway, user: string, roll = false): Promise<UserKey> {
  const body = JSON.stringify({ appid: APPID, user, roll })
  return (await (await fetch(`${sandboxUrl}/sandbox/user-keys`, { method: 'POST', body })).json()) as UserKey
}

export interface SealOptions {
  readonly method?: string
  readonly path: string
  readonly type?: string
  readonly body?: string | Buffer
  /** Defaults to the path of the request. */
  readonly sealedPath?: string
  readonly appId?: string
  readonly userId?: string
  readonly time?: number
  readonly nonce?: string
}

export interface SealedRequest {
  readonly path: string
  readonly init: RequestInit & { readonly token: string }
  readonly nonce: string
}

export function sealRequest({ encryptKey, version }: UserKey, login: Login, options: SealOptions): SealedRequest {
  const { path, body, type = 'application/json', method = body === undefined ? 'GET' : 'POST' } = options
  const place = [method, options.sealedPath ?? path, options.appId ?? APPID, options.userId ?? login.user.id]
  const content = body === undefined ? null : { type, body: Buffer.from(body) }
  const key = Buffer.from(encryptKey, 'base64')
  const about = { version, time: options.time ?? Date.now(), place }
  const sealed = sealMessage('request', key, about, content, options.nonce)
  const headers = { 'wxgate-channel': sealed.header, 'content-type': 'application/octet-stream' }
  const sent = content === null ? {} : { body: new Uint8Array(sealed.body) }
  return {
    path,
    init: { method, headers, token: login.access_token, ...sent },
    nonce: parseChannelHeader(sealed.header)?.nonce ?? ''
  }
}

/** Null for an answer without a body. Throws for one that was changed or is not sealed. */
export async function openAnswer(
  { encryptKey }: UserKey,
  { nonce }: SealedRequest,
  response: Response
): Promise<{ type: string; text: string } | null> {
  const header = parseChannelHeader(response.headers.get('wxgate-channel') ?? undefined)
  if (header === null) throw new Error(`not sealed: ${response.status} ${await response.text()}`)
  const body = Buffer.from(await response.arrayBuffer())
  const key = Buffer.from(encryptKey, 'base64')
  const content = openMessage('response', key, header, [String(response.status), nonce], body)
  if (content === false) throw new Error('the answer does not open')
  return content && { type: content.type, text: content.body.toString() }
}

/** Gives the phone the functions of wx that the encrypted channel needs.
 *  @param calls Counts the calls of getLatestUserKey. */
export function giveUserKeys(wx: Wx, gateway: TestGateway, calls = { count: 0 }): { count: number } {
  wx.getAccountInfoSync = () => ({ miniProgram: { appId: APPID } })
  wx.getUserCryptoManager = () => ({
    getLatestUserKey({ success, fail }) {
      calls.count++
      latestUserKey(gateway, 'alice').then(
        (key) => success?.({ iv: '', expireTime: 0, ...key, errMsg: 'getLatestUserKey:ok' }),
        () => fail?.({ errMsg: 'getLatestUserKey:fail' })
      )
    },
    getRandomValues({ length, success }) {
      const randomValues = new Uint8Array(randomBytes(length)).buffer
      setImmediate(() => success?.({ randomValues, errMsg: 'getRandomValues:ok' }))
    }
  })
  return calls
}
