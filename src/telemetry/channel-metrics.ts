/** Metrics of routes with `channel: true`. */
import { Counter, type Registry } from 'prom-client'

/** `failed`: no key of the user could be had, or the body did not arrive whole. */
const REQUEST_RESULTS = ['opened', 'unencrypted', 'invalid', 'late', 'replayed', 'overloaded', 'failed'] as const
/** `refused`: an answer that cannot be carried. */
const ANSWER_RESULTS = ['sealed', 'refused'] as const

export type ChannelRequestResult = (typeof REQUEST_RESULTS)[number]
export type ChannelAnswerResult = (typeof ANSWER_RESULTS)[number]

export interface ChannelMetrics {
  channelRequest(result: ChannelRequestResult): void
  channelAnswer(result: ChannelAnswerResult): void
}

export function createChannelMetrics(registry: Registry): ChannelMetrics {
  const counter = (name: string, help: string) =>
    new Counter({ name, help, labelNames: ['result'], registers: [registry] })
  const requests = counter('wxgate_channel_requests_total', 'Requests of encrypted routes by result')
  const answers = counter('wxgate_channel_answers_total', 'Answers of backends on encrypted routes by result')
  for (const result of REQUEST_RESULTS) requests.inc({ result }, 0)
  for (const result of ANSWER_RESULTS) answers.inc({ result }, 0)
  return {
    channelRequest: (result) => requests.inc({ result }),
    channelAnswer: (result) => answers.inc({ result })
  }
}
