/** Asks WeChat whether it accepts an app's AppSecret from this machine. */
import { Agent, request } from 'undici'
import { operatorHint, readErrcode } from './errcodes.ts'
import type { WeChatAnswer } from './transport.ts'

export interface AppProbe {
  /** 0 when accepted. */
  readonly errcode: number
  /** The next step of an operator; null for an errcode without a known cause. */
  readonly hint: string | null
  /** This machine's address as WeChat sees it, when WeChat refused it. */
  readonly refusedAddress: string | null
  /** WeChat's clock minus this machine's, in milliseconds; null without a Date header. */
  readonly clockOffsetMs: number | null
}

export interface ProbeOptions {
  readonly apiBase: string
  readonly timeoutMs: number
  /** Unix time in milliseconds. */
  readonly now: () => number
}

/** Calls stable_token once, which returns the token in force and leaves it valid for others.
 *  Throws when the answer cannot be read. */
export async function probeApp(
  { apiBase, timeoutMs, now }: ProbeOptions,
  app: { readonly appId: string; readonly secret: string }
): Promise<AppProbe> {
  const dispatcher = new Agent({ connect: { timeout: timeoutMs } })
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const sentAt = now()
    const { headers, body } = await request(`${apiBase.replace(/\/+$/, '')}/cgi-bin/stable_token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'wxgate' },
      body: JSON.stringify({ grant_type: 'client_credential', appid: app.appId, secret: app.secret }),
      dispatcher,
      signal
    })
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
    await dispatcher.destroy()
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
