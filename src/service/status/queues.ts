/** The queues of GET /v1/status: message push and notices of the pay API. */
import type { AppConfig } from '../../config/config.ts'
import { type Static, Type } from '../../schema.ts'
import { type Counters, type QueueDepth, type QueueDepths, sumBy } from '../../telemetry/counters.ts'
import { Count, closed, Text, word } from './terms.ts'

export const Queue = closed(
  {
    kind: word(['push', 'pay'], 'Message push, or notices of the pay API.'),
    appid: Text,
    upstream: Text,
    waiting: Count,
    waiting_bytes: Count,
    dead: Type.Integer({ minimum: 0, description: 'Given up; `GET /v1/push/dead` lists them.' }),
    results: Type.Record(Type.String(), Count, { description: 'Events by result, since the start.' })
  },
  'Events that wait in the store for delivery to an upstream.'
)

export type QueueStatus = Static<typeof Queue>

const EMPTY: QueueDepth = { waiting: 0, bytes: 0, dead: 0 }

export function describeQueues(
  apps: readonly AppConfig[],
  depths: QueueDepths,
  { pushEvents, payEvents }: Pick<Counters, 'pushEvents' | 'payEvents'>
): QueueStatus[] {
  return apps.flatMap(({ appId, push, pay }) => {
    const describe = (kind: 'push' | 'pay', upstream: string, samples: Counters['pushEvents']): QueueStatus => {
      const { waiting, bytes, dead } = depths[kind].get(appId) ?? EMPTY
      const results = sumBy(samples, 'result', { app: appId })
      return { kind, appid: appId, upstream, waiting, waiting_bytes: bytes, dead, results }
    }
    return [
      ...(push === null ? [] : [describe('push', push.upstream, pushEvents)]),
      ...(pay === null ? [] : [describe('pay', pay.upstream, payEvents)])
    ]
  })
}
