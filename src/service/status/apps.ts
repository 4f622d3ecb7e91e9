/** The apps of GET /v1/status: credentials, access token, limits and answers of WeChat. */
import type { AppConfig } from '../../config/config.ts'
import type { ApiTokenState } from '../../platforms/port.ts'
import type { CalledPath } from '../../platforms/quota-port.ts'
import { type Static, Type } from '../../schema.ts'
import { describeQuota, Quota } from '../quotas.ts'
import { Count, closed, Flag, Milliseconds, orNull, Text, Time, timeOf, word } from './terms.ts'

const ApiToken = closed(
  {
    state: word(
      ['none', 'held', 'refused'],
      '`none`: not needed so far; `held`: in use; `refused`: WeChat gave none at the last attempt.'
    ),
    fetched_at: orNull(Time),
    expires_at: orNull(Time)
  },
  'The access_token as this process knows it; the token itself is never shown.'
)

const CREDENTIALS = ['pending', 'ok', 'refused', 'unknown'] as const

const Path = closed(
  {
    path: Text,
    calls: Type.Integer({ minimum: 0, description: 'Of the gateway and its backends, since the start.' }),
    quota: orNull(Quota, 'As last read with `POST /v1/apps/{appid}/quotas`; null before.')
  },
  "A path of WeChat's API that was called with the access token."
)

export const App = closed(
  {
    appid: Text,
    name: orNull(Text),
    credentials: orNull(
      word(CREDENTIALS, 'Result of the check of the AppSecret; `unknown`: WeChat gave no answer that tells.'),
      'Null: not checked, as with the sandbox.'
    ),
    access_token: ApiToken,
    has_push: Flag,
    has_prefetch: Flag,
    mchid: orNull(Text, 'Merchant number; null without WeChat Pay.'),
    wxapi_concurrency: Type.Integer({ minimum: 0, description: "Calls of all backends to WeChat's API at a time." }),
    wxapi_rate_limit: orNull(closed({ max: Count, window_ms: Milliseconds }, 'At most `max` calls in a window.')),
    logins: Type.Record(Type.String(), Count, { description: 'By result: `ok`, or the code of the error.' }),
    wxapi_calls: Type.Record(Type.String(), Count, { description: 'Calls of backends by result.' }),
    errcodes: Type.Record(Type.String(), Count, {
      description: "Answers of WeChat's API to backends with an errcode other than 0; codes that occurred."
    }),
    paths: Type.Array(Path, { description: 'Sorted; at most 50, those with the most calls.' })
  },
  'A mini-program. Counts are those since the start.'
)

export type AppStatus = Static<typeof App>
export type PathStatus = Static<typeof Path>

export interface AppFacts {
  readonly credentials: string | undefined
  readonly token: ApiTokenState
  readonly paths: readonly CalledPath[]
  readonly counts: Pick<AppStatus, 'logins' | 'wxapi_calls' | 'errcodes'>
}

export function describeApp(
  { appId, name, push, prefetch, pay, wxapiLimit }: AppConfig,
  { credentials, token, paths, counts }: AppFacts
): AppStatus {
  const { rateLimit, concurrency } = wxapiLimit
  return {
    appid: appId,
    name,
    credentials: CREDENTIALS.find((state) => state === credentials) ?? null,
    access_token: {
      state: token.state,
      fetched_at: token.fetchedAt === null ? null : timeOf(token.fetchedAt),
      expires_at: token.expiresAt === null ? null : timeOf(token.expiresAt)
    },
    has_push: push !== null,
    has_prefetch: prefetch !== null,
    mchid: pay === null ? null : pay.mchId,
    wxapi_concurrency: concurrency,
    wxapi_rate_limit: rateLimit && { max: rateLimit.max, window_ms: rateLimit.window },
    ...counts,
    paths: paths
      .toSorted((one, other) => (one.path < other.path ? -1 : 1))
      .map(({ path, calls, quota }) => ({ path, calls, quota: quota && describeQuota(quota) }))
  }
}
