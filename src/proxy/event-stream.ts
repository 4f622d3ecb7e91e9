/** Event streams (WHATWG HTML, section 9.2). The gateway ends them between two events: with their
 *  session, and when it drains. */
import type { Clock, Timer } from '../clock.ts'
import type { ClientSide, Drained } from '../http/client-side.ts'
import { isEventStream } from '../http/headers/response-headers.ts'
import type { EndReason, LiveConnection, LiveConnections } from './live-connections.ts'
import { type OpenBody, TimedBody, type TimedBodyDeps } from './open-body.ts'

/** An event ends with an empty line. */
const EVENT_END = /\r\n\r\n|\n\n|\r\r/g
const ENDS_WITH_EVENT = /(?:\r\n\r\n|\n\n|\r\r)$/
/** Bytes of {@link EVENT_END} that an earlier chunk may hold. */
const TAIL_BYTES = 3
/** Time for an incomplete event before the stream ends inside it. */
const EVENT_MS = 1_000

/** @param head Name and value in turns. */
export function createOpenBody(head: readonly string[], deps: EventStreamDeps & TimedBodyDeps): OpenBody {
  return isEndlessStream(head) ? new EventStream(deps) : new TimedBody(deps)
}

/** True for a stream of unlimited duration: one that announces no length.
 *  @param head Name and value in turns. */
function isEndlessStream(head: readonly string[]): boolean {
  return isEventStream(head) && !head.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'content-length')
}

interface EventStreamDeps {
  readonly client: ClientSide
  readonly drained: Drained
  readonly live: Pick<LiveConnections, 'add' | 'remove'>
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  readonly session: LiveConnection['session']
  /** Called once when the gateway ends the stream: nothing is written after it. */
  readonly onEnd: (reason: EndReason) => void
}

/** The body of an event stream. The upstream may pause without limit. */
class EventStream implements OpenBody, LiveConnection {
  readonly session: LiveConnection['session']
  readonly maxAgeMs = 0
  readonly #deps: EventStreamDeps
  /** The last bytes written, in Latin-1. An empty stream is between two events. */
  #tail = ''
  #isBetweenEvents = true
  /** Null until the gateway ends the stream. */
  #ending: EndReason | null = null
  #timer: Timer | undefined

  constructor(deps: EventStreamDeps) {
    this.#deps = deps
    this.session = deps.session
  }

  start(first: Buffer | null): void {
    if (first === null) this.#deps.client.flush()
    else this.write(first, false)
    this.#deps.live.add(this)
  }

  write(chunk: Buffer, isBorrowed: boolean): boolean {
    const { client, drained, onEnd } = this.#deps
    if (this.#ending === null) return this.#pass(chunk, isBorrowed)
    const length = this.#isBetweenEvents ? 0 : firstEventLength(this.#tail, chunk)
    if (length < 0) return this.#pass(chunk, isBorrowed)
    const canGoOn = client.write(chunk.subarray(0, length), isBorrowed, drained)
    onEnd(this.#ending)
    return canGoOn
  }

  drained(): void {}

  end(reason: EndReason): void {
    if (this.#ending !== null) return
    this.#ending = reason
    const { clock, onEnd } = this.#deps
    this.#timer = clock.setTimeout(() => onEnd(reason), this.#isBetweenEvents ? 0 : EVENT_MS)
  }

  close(): void {
    this.#deps.clock.clearTimeout(this.#timer)
    this.#deps.live.remove(this)
  }

  #pass(chunk: Buffer, isBorrowed: boolean): boolean {
    const text = this.#tail + chunk.toString('latin1', Math.max(0, chunk.length - TAIL_BYTES - 1))
    this.#isBetweenEvents = ENDS_WITH_EVENT.test(text)
    this.#tail = text.slice(-TAIL_BYTES)
    return this.#deps.client.write(chunk, isBorrowed, this.#deps.drained)
  }
}

/** Bytes of the chunk to the end of the first event that ends in it, or -1.
 *  @param tail The bytes before it. */
function firstEventLength(tail: string, chunk: Buffer): number {
  for (const match of (tail + chunk.toString('latin1')).matchAll(EVENT_END)) {
    const end = match.index + match[0].length
    if (end > tail.length) return end - tail.length
  }
  return -1
}
