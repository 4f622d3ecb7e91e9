/** Answers in the form of api.weixin.qq.com: status 200 in every case, JSON as text/plain. */
import { randomBytes } from 'node:crypto'

export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string | Buffer
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>
  /** For the call log; null when the body is not WeChat's JSON. */
  readonly errcode: number | null
}

const MESSAGES: ReadonlyMap<number, string> = new Map([
  [-1, 'system error'],
  [40001, 'invalid credential, access_token is invalid or not latest'],
  [40002, 'invalid grant_type'],
  [40003, 'invalid openid'],
  [40013, 'invalid appid'],
  [40014, 'invalid access_token'],
  [40029, 'invalid code'],
  [40037, 'invalid template_id'],
  [40097, 'invalid args'],
  [40125, 'invalid appsecret'],
  [40163, 'code been used'],
  [40164, 'invalid ip 127.0.0.1, not in whitelist'],
  [40226, 'code blocked'],
  [40243, 'appsecret is frozen'],
  [40231, 'missing timestamp'],
  [40232, 'missing signature'],
  [40233, 'missing appid'],
  [40234, 'invalid signature'],
  [40235, 'invalid encryption'],
  [40236, 'invalid appid'],
  [40237, 'appid does not fit the access_token'],
  [40240, 'timestamp expired'],
  [41001, 'access_token missing'],
  [41002, 'appid missing'],
  [41004, 'appsecret missing'],
  [41008, 'missing code'],
  [42001, 'access_token expired'],
  [43001, 'require GET method'],
  [43002, 'require POST method'],
  [43101, 'user refuse to accept the msg'],
  [45009, 'reach max api daily quota limit'],
  [45011, 'api minute-quota reach limit, mustslower, retry next minute'],
  [47001, 'data format error'],
  [47003, 'argument invalid'],
  [50004, 'forbid use token api'],
  [50007, 'account frozen'],
  [61010, 'code is expired'],
  [76003, 'invalid cgi_path'],
  [76022, 'could not use this cgi_path, no permission'],
  [87007, 'session_key is not existed or expired'],
  [87008, 'invalid sig_method'],
  [87009, 'invalid signature'],
  [89503, 'this ip needs the confirmation of an administrator'],
  [89506, 'the administrator refused this ip, wait 24 hours'],
  [89507, 'the administrator refused this ip, wait 1 hour']
])

/** JSON with the content type of WeChat. */
export function succeed(fields: Record<string, unknown>): Answer {
  return { status: 200, contentType: 'text/plain', body: JSON.stringify(fields), errcode: 0 }
}

/** Status 200 with errcode, and an errmsg that ends in a trace id. */
export function refuse(errcode: number): Answer {
  const errmsg = `${MESSAGES.get(errcode) ?? 'error of the sandbox'}, rid: ${traceId()}`
  return { status: 200, contentType: 'text/plain', body: JSON.stringify({ errcode, errmsg }), errcode }
}

export function image(body: Buffer): Answer {
  return { status: 200, contentType: 'image/png', body, errcode: 0 }
}

/** For the sandbox's own endpoints, which use HTTP statuses. */
export function control(status: number, body: unknown): Answer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(body)}\n`, errcode: null }
}

function traceId(): string {
  const hex = randomBytes(12).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 16)}-${hex.slice(16)}`
}
