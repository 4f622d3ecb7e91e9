/** Asks WeChat whether it accepts an app's AppSecret from this machine. */
import type { LookupFunction } from 'node:net'
import { reasonOf } from '../../errors.ts'
import { createBases, type WeChatAddress } from './bases.ts'
import { ConnectFailure } from './connector.ts'
import { operatorHint, readErrcode, type WeChatAnswer } from './errcodes.ts'

interface AppProbe {
  /** 0 when accepted. */
  readonly errcode: number
  /** The next step of an operator; null for an errcode without a known cause. */
  readonly hint: string | null
  /** This machine's address as WeChat sees it, when WeChat refused it. */
  readonly refusedAddress: string | null
  /** WeChat's clock minus this machine's, in milliseconds; null without a Date header. */
  readonly clockOffsetMs: number | null
}

export interface ProbeOptions extends WeChatAddress {
  readonly timeoutMs: number
  /** Unix time in milliseconds. */
  readonly now: () => number
  /** Default: the resolver of the system. */
  readonly lookup?: LookupFunction
}

/** A probe in words for an operator. `unknown`: WeChat neither accepted nor refused the app. */
export type ProbeVerdict =
  | { readonly state: 'ok' }
  | {
      readonly state: 'refused' | 'unknown'
      /** Null without an answer. */
      readonly errcode: number | null
      readonly problem: string
      readonly advice: string
    }

/** Settles within the timeout, with a verdict in every case. Its texts hold no secret. */
export async function judgeApp(
  options: ProbeOptions,
  app: { readonly appId: string; readonly secret: string }
): Promise<ProbeVerdict & { readonly clockOffsetMs: number | null }> {
  try {
    const probe = await probeApp(options, app)
    return { ...judge(probe), clockOffsetMs: probe.clockOffsetMs }
  } catch (error) {
    const isOfProxy = error instanceof ConnectFailure && error.isOfProxy
    const reason = error instanceof ConnectFailure ? error.reason : reasonOf(error)
    return {
      state: 'unknown',
      errcode: null,
      problem: `${new URL(options.apiBase).origin} gives no valid answer (${reason})`,
      advice: isOfProxy
        ? 'check wechat.proxy: host, port, user and password'
        : 'let this machine connect to it: DNS, firewall, outbound proxy (wechat.proxy)',
      clockOffsetMs: null
    }
  }
}

function judge({ errcode, hint, refusedAddress }: AppProbe): ProbeVerdict {
  if (errcode === 0) return { state: 'ok' }
  const problem = `WeChat refuses it with ${errcode}${hint === null ? '' : `: ${hint}`}`
  if (errcode === 40164) {
    const address = refusedAddress ?? 'the address of this machine'
    const advice = `add ${address} to the IP allow list (IP白名单) of the mini-program`
    return { state: 'refused', errcode, problem, advice }
  }
  if (errcode === -1 || Number.isNaN(errcode)) return { state: 'unknown', errcode, problem, advice: 'try again later' }
  const advice = 'compare appid and AppSecret with the console of the mini-program (开发设置)'
  return { state: 'refused', errcode, problem, advice }
}

/** Calls stable_token once, which returns the token in force and leaves it valid for others.
 *  Throws when the answer cannot be read. */
async function probeApp(
  { timeoutMs, now, ...options }: ProbeOptions,
  app: { readonly appId: string; readonly secret: string }
): Promise<AppProbe> {
  const connectTimeoutMs = Math.max(100, Math.floor(timeoutMs * 0.4))
  const bases = createBases({ ...options, connectTimeoutMs, log: { warn() {} }, pool: {} })
  const signal = AbortSignal.timeout(timeoutMs)
  const isUnsent = (error: unknown) => error instanceof ConnectFailure
  try {
    const sentAt = now()
    const { headers, body } = await bases.reach(
      ({ pool, path }) =>
        pool.request({
          path: `${path}/cgi-bin/stable_token`,
          method: 'POST',
          headers: { 'content-type': 'application/json', 'user-agent': 'wxgate' },
          body: JSON.stringify({ grant_type: 'client_credential', appid: app.appId, secret: app.secret }),
          signal
        }),
      isUnsent,
      performance.now() + timeoutMs
    )
    const receivedAt = now()
    const answer = (await body.json()) as WeChatAnswer
    const errcode = typeof answer.access_token === 'string' ? 0 : readErrcode(answer) || Number.NaN
    return {
      errcode,
      hint: operatorHint(errcode),
      refusedAddress: refusedAddress(answer),
      clockOffsetMs: offset(headers.date, sentAt, receivedAt)
    }
  } finally {
    await bases.close()
  }
}

/** `invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist` */
function refusedAddress({ errmsg }: WeChatAnswer): string | null {
  return typeof errmsg === 'string' ? (/invalid ip ([0-9a-fA-F.:]{2,45})/.exec(errmsg)?.[1] ?? null) : null
}

/** Date has whole seconds: within that second and the time on the way, the clocks agree. */
function offset(date: unknown, sentAt: number, receivedAt: number): number | null {
  const time = typeof date === 'string' ? Date.parse(date) : Number.NaN
  if (Number.isNaN(time)) return null
  if (time > receivedAt) return time - receivedAt
  return time + 1000 < sentAt ? time + 1000 - sentAt : 0
}
