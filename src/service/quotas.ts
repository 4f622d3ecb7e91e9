/** POST /v1/apps/{appid}/quotas: asks the platform for the quotas of its paths. */
import type { FastifyInstance } from 'fastify'
import { withProblems } from '../http/endpoints/openapi.ts'
import type { Quota as PlatformQuota } from '../platforms/quota-port.ts'
import type { Platforms } from '../platforms/registry.ts'
import { type Static, Type } from '../schema.ts'
import { Count, closed, Milliseconds, orNull, Text, Time, timeOf } from './status/terms.ts'
import { AppId, expectApp, type SubjectDeps } from './subject.ts'

export interface QuotasDeps extends Pick<SubjectDeps, 'findApp'> {
  readonly platforms: Pick<Platforms, 'require'>
}

export const Quota = closed(
  {
    read_at: Time,
    daily: orNull(closed({ limit: Count, used: Count, remain: Count }, 'Calls of all programs on this day.')),
    rate_limit: orNull(closed({ max: Count, window_ms: Milliseconds }, 'At most `max` calls in a window.')),
    errcode: orNull(Type.Integer(), 'Of WeChat when it refuses to tell; null otherwise.'),
    failure: orNull(closed({ code: Text, detail: Text }, 'As in an error of the gateway.'), 'Null with an answer.')
  },
  'The quota of a path, as WeChat reports it.'
)

const Params = Type.Object({ appid: AppId })
const Path = Type.String({
  pattern: '^/[A-Za-z0-9_./-]{1,127}$',
  description: 'Of api.weixin.qq.com, such as `/wxa/msg_sec_check`.'
})
const Body = closed({ paths: Type.Array(Path, { minItems: 1, maxItems: 50 }) }, 'Paths without a query.')
const Answer = closed(
  { quotas: Type.Array(closed({ path: Text, quota: Quota }, 'A path with its quota.')) },
  'In the order of the request. It ends with the first path without an answer of WeChat.'
)

export function addQuotas(app: FastifyInstance, deps: QuotasDeps): void {
  const schema = {
    operationId: 'readQuotas',
    summary: "The quotas of a mini-program for WeChat's API",
    description:
      'Asks WeChat (`/cgi-bin/openapi/quota/get`) for each path in turn. Each question is a call itself, so an answer younger than a minute is given again, and at most 60 questions are asked in a minute. The status lists the paths that the mini-program has called.',
    tags: ['admin'],
    params: Params,
    body: Body,
    response: withProblems({ 200: Answer }, ['not_found', 'rate_limited'])
  }
  app.post<{ Params: Static<typeof Params>; Body: Static<typeof Body> }>(
    '/apps/:appid/quotas',
    { schema },
    async (request, reply) => {
      const wxApp = expectApp(deps, request, request.params.appid)
      const { read } = deps.platforms.require(wxApp.appId, 'quotas')
      const quotas: Static<typeof Answer>['quotas'] = []
      for (const path of request.body.paths) {
        const quota = await read(wxApp, path)
        quotas.push({ path, quota: describeQuota(quota) })
        if (quota.failure !== null) break
      }
      reply.header('cache-control', 'no-store')
      return { quotas }
    }
  )
}

export function describeQuota({ readAt, daily, rate, errcode, failure }: PlatformQuota): Static<typeof Quota> {
  return {
    read_at: timeOf(readAt),
    daily: daily && { ...daily },
    rate_limit: rate && { max: rate.max, window_ms: rate.windowMs },
    errcode,
    failure: failure && { ...failure }
  }
}
