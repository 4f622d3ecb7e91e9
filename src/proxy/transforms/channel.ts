/** Routes with `channel: true`: opens encrypted request bodies and seals the answers. A request
 *  that is not encrypted is refused. */
import type { Readable } from 'node:stream'
import type { Clock } from '../../clock.ts'
import { ApiError } from '../../errors.ts'
import type { ByteBudget, HeldBytes } from '../../http/body/byte-budget.ts'
import { readable } from '../../http/body/streamed-body.ts'
import { headerValue } from '../../http/headers/header-value.ts'
import type { ChannelKeys } from '../../identity/channel-keys.ts'
import type { ChannelMetrics, ChannelRequestResult } from '../../telemetry/channel-metrics.ts'
import { type ChannelHeader, openMessage, parseChannelHeader } from './channel-format.ts'
import { SealedAnswer } from './sealed-answer.ts'
import type { BodyTransform, TransformedRequest } from './transform.ts'

/** Largest difference between the clocks of sender and gateway (milliseconds). */
const WINDOW = 5 * 60_000
/** The body is held encrypted and in clear. */
const COPIES = 2

const UNENCRYPTED = new ApiError(
  'channel_invalid',
  'This route takes encrypted requests only. Send it with { channel: true } of the client.'
)
const INVALID = new ApiError(
  'channel_invalid',
  'The request could not be decrypted. Seal it again with the newest key.'
)
const LATE = new ApiError(
  'channel_invalid',
  "The time of the encrypted request is more than 5 minutes off the gateway's."
)
const REPLAYED = new ApiError('channel_replayed', 'This encrypted request was received before.')
const FULL = new ApiError('overloaded', 'Too many encrypted bodies are under way. Try again shortly.', {
  retryAfter: 1
})

const RESULTS: ReadonlyMap<unknown, ChannelRequestResult> = new Map([
  [UNENCRYPTED, 'unencrypted'],
  [INVALID, 'invalid'],
  [LATE, 'late'],
  [REPLAYED, 'replayed'],
  [FULL, 'overloaded']
])

/** Headers of the client that describe the ciphertext, or ask for a part or another form of the
 *  answer. */
const REMOVED = new Set([
  'wxgate-channel',
  'content-type',
  'content-encoding',
  'accept-encoding',
  'range',
  'if-range',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest'
])

export interface ChannelDeps {
  readonly channelKeys: ChannelKeys
  /** Room for the bodies that channel routes hold. */
  readonly heldBodies: ByteBudget
  readonly clock: Pick<Clock, 'now' | 'setTimeout' | 'clearTimeout'>
  readonly channelMetrics: ChannelMetrics
}

export function createChannelTransform(deps: ChannelDeps): BodyTransform {
  const { channelKeys, heldBodies, clock, channelMetrics } = deps

  async function open(request: TransformedRequest, header: ChannelHeader, held: HeldBytes) {
    const { client, principal, hasBody, method, target, limits } = request
    if (principal === null) throw UNENCRYPTED
    const { appId, openId, userId } = principal
    if (Math.abs(clock.now() - header.time) > WINDOW) throw LATE
    const key = await channelKeys.find(appId, openId, header.version)
    if (key === null) throw INVALID
    const sealed = hasBody ? await readWhole(readable(client.openBody(limits)), held) : Buffer.alloc(0)
    const place = [method, target.path + target.query, appId, userId]
    const content = openMessage('request', key, header, place, sealed)
    if (content === false) throw INVALID
    // The MAC comes first: a sender without the key cannot fill the store with nonces.
    if (!(await channelKeys.claim(appId, openId, header.nonce, 2 * WINDOW))) throw REPLAYED
    return { key, content }
  }

  return {
    needsBody: false,

    async apply(request) {
      const { headers, upstreamHeaders, limits, idleMs } = request
      const header = parseChannelHeader(headerValue(headers.kept, 'wxgate-channel'))
      const held = heldBodies.open()
      try {
        if (header === null) throw UNENCRYPTED
        const { key, content } = await open(request, header, held)
        channelMetrics.channelRequest('opened')
        removeHeaders(upstreamHeaders)
        if (content !== null && content.type !== '') upstreamHeaders.push('content-type', content.type)
        const { version, nonce: requestNonce } = header
        const isHead = request.method === 'HEAD'
        const heldAnswer = heldBodies.open()
        const about = { key, version, requestNonce, isHead, limit: limits.limit, idleMs }
        const answer = { ...about, held: heldAnswer, clock, onResult: channelMetrics.channelAnswer }
        return {
          body: content === null ? null : content.body,
          answer: {
            wrap: (inner) => new SealedAnswer(inner, answer),
            release() {
              held.release()
              heldAnswer.release()
            }
          }
        }
      } catch (error) {
        held.release()
        channelMetrics.channelRequest(RESULTS.get(error) ?? 'failed')
        throw error
      }
    }
  }
}

async function readWhole(body: Readable | Buffer, held: HeldBytes): Promise<Buffer> {
  if (Buffer.isBuffer(body)) {
    if (!held.hold(COPIES * body.length)) throw FULL
    return body
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (!held.hold(COPIES * size)) throw FULL
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function removeHeaders(headers: string[]): void {
  for (let index = headers.length - 2; index >= 0; index -= 2) {
    if (REMOVED.has(headers[index]?.toLowerCase() ?? '')) headers.splice(index, 2)
  }
}
