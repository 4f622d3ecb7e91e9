/** The port of a mini-program platform. Only `login` is required. An endpoint registers only
 *  where a configured app's platform has its capability. Every call settles within the platform's
 *  deadline and throws an ApiError on any failure. */
import type { ReadAhead } from '../http/body/read-ahead.ts'
import type { PayCapability } from './pay-port.ts'
import type { QuotaCapability } from './quota-port.ts'

export interface Platform extends Capabilities {
  /** Part of stored keys: `user:<name>:<appid>:<openid>`. */
  readonly name: string
  /** Part of stored keys: `union:<scope>:<unionid>`. A unionid is unique within its scope. */
  readonly unionScope: string
  /** Whether records of 0.1.0, whose keys name no platform, belong to it. */
  readonly ownsFormerKeys: boolean
  /** Exchanges a login code. Never repeats the call once the code may be spent. */
  login(app: PlatformApp, code: string): Promise<LoginExchange>
  /** The state of the app's API token in this process, for an operator. */
  apiToken(appId: string): ApiTokenState
  /** Call it after the last call has settled. */
  close(): Promise<void>
}

/** `none`: not needed so far; `refused`: the platform gave none at the last attempt. Times are
 *  milliseconds since the epoch. */
export interface ApiTokenState {
  readonly state: 'none' | 'held' | 'refused'
  readonly fetchedAt: number | null
  readonly expiresAt: number | null
}

export interface Capabilities {
  readonly openData?: OpenDataCapability
  readonly phone?: PhoneCapability
  readonly sessionKeys?: SessionKeyCapability
  readonly signatures?: SignatureCapability
  readonly egress?: EgressCapability
  readonly push?: PushCapability
  readonly pay?: PayCapability
  readonly channel?: ChannelCapability
  readonly quotas?: QuotaCapability<PlatformApp>
}

export interface PlatformApp {
  readonly appId: string
  readonly secret: string
  /** Null or absent: calls are not signed. */
  readonly apiSignature?: ApiSignatureSettings | null
}

/** Keys of an app whose calls to the platform are signed and encrypted. */
export interface ApiSignatureSettings {
  /** Base64. */
  readonly symmetricKey: string
  readonly symmetricKeySn: string
  /** PEM. */
  readonly privateKey: string
  readonly platformKeys: readonly { readonly serial: string; readonly publicKey: string }[]
}

export interface LoginExchange {
  readonly openId: string
  readonly unionId: string | null
  /** The phone holds the same key until the next login. Text in the platform's own encoding. */
  readonly sessionKey: string
}

/** Longest `encryptedData` or `rawData`, in characters. The largest answers of WeChat stay
 *  below a tenth of it. */
export const MAX_OPEN_DATA = 64 * 1024

export type OpenData = Readonly<Record<string, unknown>>

export interface SealedOpenData {
  readonly encryptedData: string
  readonly iv: string
}

export interface SignedRawData {
  /** Byte for byte as the mini-program received it. */
  readonly rawData: string
  readonly signature: string
}

export interface OpenDataCapability {
  /** The data, or null for every failure: a caller must not tell failures apart.
   *  @param now Milliseconds since the epoch. */
  decrypt(input: SealedOpenData & { sessionKey: string; appId: string; openId: string; now: number }): OpenData | null
  verify(input: SignedRawData & { sessionKey: string }): boolean
  /** A session_key that fits no data, for work that must cost the same without a stored key. */
  createSpareKey(): string
}

export interface Phone {
  /** With the country code, except for a mainland number. */
  readonly phoneNumber: string
  readonly purePhoneNumber: string
  readonly countryCode: string
}

export interface PhoneCapability {
  /** Exchanges a single-use code that the platform issued for this user. */
  exchange(app: PlatformApp, openId: string, code: string): Promise<Phone>
  /** The number in decrypted open data; null for anything else. */
  read(data: unknown, appId: string): Phone | null
}

export interface SessionKeyCapability {
  /** True while the platform accepts this key. */
  check(app: PlatformApp, openId: string, sessionKey: string): Promise<boolean>
  /** Returns the new key; throws session_key_stale when the platform no longer accepts the old
   *  one. */
  reset(app: PlatformApp, openId: string, sessionKey: string): Promise<string>
}

export interface SignatureCapability {
  /** Signs a request body with the user's session_key. */
  loginState(sessionKey: string, body: string): string
  /** Signs with the app key of virtual payment. */
  payment(appKey: string, uri: string, body: string): string
}

/** `plain`: forwarded byte for byte. `ambiguous`: another server could read it as another path. */
export type PathVerdict = 'plain' | 'ambiguous' | 'credential'

export interface EgressCall {
  readonly method: string
  /** Starts with `/`. */
  readonly path: string
  /** Includes its `?`, or is empty. */
  readonly query: string
  /** Name and value in turns, as the backend sent them. */
  readonly headers: readonly string[]
  readonly body: Buffer | null
  readonly requestId: string
  readonly caller: CallerPresence
}

/** Whether the backend still waits for its answer. */
export interface CallerPresence {
  readonly isGone: boolean
  /** Calls back once, when the backend disconnects or has its answer. */
  whenGone(callback: () => void): void
}

export interface EgressAnswer {
  readonly status: number
  /** Name and value in turns. */
  readonly headers: string[]
  readonly body: ReadAhead
  /** The platform's code of an answer, 0 for success; null for one without a code, such as an
   *  image. */
  readonly errcode: number | null
}

export interface EgressCapability {
  /** Decides whether a backend may call this path.
   *  @param path Canonical.
   *  @param needs Readings that the whole target needs, see canonical-path.ts. */
  judge(path: string, needs: number): PathVerdict
  /** The app that the query chooses in place of the one in the path, null for none, and the
   *  query without that choice.
   *  @param query Includes its `?`, or is empty. */
  chooseApp(query: string): { readonly appId: string | null; readonly query: string }
  /** Forwards a backend's call with the app's access token. A refused token is replaced and the
   *  call repeated once. */
  forward(app: PlatformApp, call: EgressCall): Promise<EgressAnswer>
}

export interface PushSettings {
  readonly appId: string
  readonly token: string
  /** Null for an app whose messages come in plain mode only. */
  readonly encodingAesKey: string | null
}

/** Members of the query string. */
export type PushQuery = Readonly<Record<string, string | undefined>>

export interface PushCheck {
  /** The answer. */
  readonly echo: string
  /** @see PushMessage.nonce */
  readonly nonce: string
}

export interface PushMessage {
  /** Equal for every delivery of one message. */
  readonly key: string
  /** The user it is about; null for a message without one. */
  readonly openId: string | null
  /** The kind of event or of message. */
  readonly event: string
  /** The user who revoked the authorization; null for any other event. */
  readonly revokedOpenId: string | null
  /** The message as JSON. */
  readonly json: string
  /** The format that the reply has to have. */
  readonly format: 'json' | 'xml'
  readonly isEncrypted: boolean
  /** Differs between two requests. The signature of plain mode covers it and not the body. */
  readonly nonce: string
}

/** `timestamp`: missing, too old or too early. `signature`: wrong. `plain`: announced as encrypted,
 *  without the signature of it. `encrypted`: encrypted although it has none. `encryption`: another
 *  key, another app, or wrong padding. `format`: neither JSON nor XML, or not a message. */
export type PushRefusal = 'timestamp' | 'signature' | 'plain' | 'encrypted' | 'encryption' | 'format'

export type PushReading = { readonly refusal: null; readonly message: PushMessage } | { readonly refusal: PushRefusal }

export interface PushReply {
  readonly contentType: string
  readonly body: string
}

/** @see PushMessage. `now` is in milliseconds since the epoch. */
export interface PushCapability {
  /** Null for a check of the URL that the platform did not sign. */
  checkUrl(settings: PushSettings, query: PushQuery, now: number): PushCheck | null
  /** Refuses a request that the platform did not sign, or not for this app. */
  read(settings: PushSettings, query: PushQuery, body: string, now: number): PushReading
  /** Null for a text that is no reply. An empty text acknowledges the message. */
  reply(settings: PushSettings, message: PushMessage, text: string, now: number): PushReply | null
}

/** One version of a user's key. */
export interface ChannelKey {
  readonly version: number
  /** 16 bytes in base64. */
  readonly key: string
  /** Milliseconds since the epoch. A key that has expired still opens what was sent before. */
  readonly expiresAt: number
}

export interface ChannelCapability {
  /** The newest keys of the user, at least one. The phone gets the same ones from the platform.
   *  Throws session_key_stale when the platform no longer accepts the session_key. */
  userKeys(app: PlatformApp, openId: string, sessionKey: string): Promise<readonly ChannelKey[]>
}
