/** The configuration as the program uses it: every default filled in, durations in milliseconds, sizes in bytes,
 *  secrets read. What a person writes is described by schema.ts. */

export interface GatewayConfig {
  readonly server: ServerConfig
  readonly service: ServiceConfig
  /** The first signs and encrypts, all verify and decrypt. The word `generated` has already been replaced. */
  readonly secrets: readonly string[]
  readonly wechat: { readonly apiBase: string | 'sandbox'; readonly timeout: number }
  readonly apps: readonly AppConfig[]
  readonly tokens: TokensConfig
  readonly sessions: SessionsConfig
  readonly login: { readonly hook: LoginHookConfig | null }
  /** `memory:`, `sqlite:PATH`, `redis://…`, `rediss://…`; may hold a password, so never log it. */
  readonly store: string
  readonly logging: LoggingConfig
  readonly upstreams: readonly UpstreamConfig[]
  readonly routes: readonly RouteConfig[]
}

export interface ServerConfig {
  readonly host: string
  readonly port: number
  readonly workers: number | 'auto'
  readonly trustedProxies: readonly string[]
  /** Paths, since the files are read again when they change. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null
  readonly drain: { readonly delay: number; readonly timeout: number }
  readonly limits: LimitsConfig
  readonly loginLimit: RateLimitConfig<'ip' | 'app'>
}

export interface LimitsConfig {
  readonly uri: number
  readonly headers: number
  readonly body: number
  readonly headersTimeout: number
  readonly bodyIdleTimeout: number
  /** A response that the client does not read is given up after this time without progress. */
  readonly writeIdleTimeout: number
  /** How long an idle kept-alive client connection stays open. */
  readonly keepAliveTimeout: number
  /** Connections of one peer address at a time. */
  readonly connectionsPerPeer: number
}

export interface RateLimitConfig<By extends string> {
  readonly max: number
  readonly window: number
  readonly by: By
}

export type ServiceScope = 'session' | 'wxapi' | 'pay' | 'admin'

export interface ServiceConfig {
  readonly host: string
  readonly port: number
  readonly tokens: readonly {
    readonly name: string
    readonly token: string
    readonly scopes: readonly ServiceScope[]
  }[]
}

export interface AppConfig {
  readonly appId: string
  readonly name: string | null
  readonly secret: string
  /** App keys of virtual payment, by environment. */
  readonly virtualPay: { readonly appKey: string | null; readonly sandboxAppKey: string | null } | null
}

export interface TokensConfig {
  readonly issuer: string
  readonly algorithm: 'HS256' | 'EdDSA' | 'ES256'
  readonly accessTtl: number
  readonly refreshTtl: number
  readonly refreshMaxTtl: number
  readonly openId: 'sealed' | 'plain'
}

export interface SessionsConfig {
  readonly sessionKeyTtl: number
  /** How long valid tokens go on being accepted when the store can no longer be asked about revocations. */
  readonly storeGrace: number
}

export interface LoginHookConfig {
  readonly upstream: string
  readonly path: string
  readonly timeout: number
  readonly onFailure: 'refuse' | 'continue'
  /** Names of claims that the hook may set. */
  readonly claims: readonly string[]
}

export interface LoggingConfig {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  readonly access: boolean
  /** Null: pretty on a terminal, json elsewhere. */
  readonly format: 'json' | 'pretty' | 'combined' | null
}

export interface TlsClientConfig {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
  readonly serverName: string | null
  readonly insecureSkipVerify: boolean
}

export interface UpstreamConfig {
  readonly name: string
  /** `url` has no path, query or credentials: an origin such as http://10.0.0.5:3000. */
  readonly targets: readonly { readonly url: string; readonly weight: number }[]
  readonly balance: 'roundRobin' | 'leastRequests' | 'hash'
  readonly timeouts: { readonly connect: number; readonly response: number; readonly idle: number }
  readonly retries: { readonly attempts: number; readonly on: readonly ('connect' | 'reset' | '502' | '503' | '504')[] }
  readonly tls: TlsClientConfig
}

export interface RouteConfig {
  /** Canonical, without a trailing slash unless it is `/`. */
  readonly path: string
  /** Null: every method. */
  readonly methods: readonly string[] | null
  readonly upstream: string
  readonly auth: 'required' | 'optional' | 'public'
  /** Null: every app. */
  readonly apps: readonly string[] | null
  readonly stripPrefix: string | null
  /** Milliseconds to the head of the upstream's response; null: the upstream's own. */
  readonly timeout: number | null
  readonly bodyLimit: number
  readonly rateLimit: RateLimitConfig<'user' | 'ip'> | null
  readonly requestHeaders: HeaderEdits
  readonly responseHeaders: HeaderEdits
  readonly identityHeaders: 'wxgate' | 'cloudrun'
  readonly allow: PathAllowances
  readonly caseSensitive: boolean
  /** Decrypt `encryptedData` + `iv` of a JSON body on the way. */
  readonly openData: boolean
  /** Claims a principal must have: any of the values listed per claim. */
  readonly require: Readonly<Record<string, readonly string[]>>
  /** Header name to claim name. */
  readonly inject: Readonly<Record<string, string>>
  /** Where the route stands in the file, for messages. */
  readonly line: number
}

/** Readings of a path that are refused unless a route asks for them. */
export interface PathAllowances {
  /** `%2F` inside a segment is passed on. */
  readonly encodedSlash: boolean
  /** `;name=value` after a segment is passed on; it never counts for matching. */
  readonly matrixParams: boolean
  /** `%25xx` is passed on. */
  readonly doubleEncoding: boolean
}

export interface HeaderEdits {
  readonly set: Readonly<Record<string, string>>
  readonly remove: readonly string[]
}
