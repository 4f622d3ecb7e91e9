/** A backend made of bytes: it records its requests, and names forms of responses by path. */
import { createServer, type Socket } from 'node:net'
import { listen, type Teardown } from './listen.ts'

export interface Received {
  /** Request line and header lines. */
  readonly head: string
  /** As sent: with its chunk lines. Latin-1. */
  body: string
  isComplete: boolean
}

export interface RecordingBackend {
  readonly url: string
  readonly received: readonly Received[]
}

/** Called when a request is complete, or for `isEarly` with its head. */
export type Answer = (request: Received, socket: Socket) => void

/** 200 with the request line; the path may name another form of response. */
export const answerPlainly: Answer = ({ head, body }, socket) => {
  const [line = ''] = head.split('\r\n')
  const path = line.split(' ')[1] ?? ''
  const text = `${line} ${body.length}`
  const framed = `Content-Length: ${text.length}\r\n\r\n${line.startsWith('HEAD') ? '' : text}`
  const [, kind = ''] = /\/answer-([a-z0-9]+)/.exec(path) ?? []
  socket.write(RESPONSES[kind]?.(text) ?? `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n${framed}`, 'latin1')
  if (kind === 'close' || kind === 'websocket') socket.end()
}

const RESPONSES: Readonly<Record<string, (text: string) => string>> = {
  chunked: (text) => {
    const [first, second] = [text.slice(0, 3), text.slice(3)]
    const chunks = [first, second].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
    return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: \xe5\xbc\xa0\r\n\r\n${chunks.join('')}0\r\n\r\n`
  },
  close: (text) => `HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n${text}`,
  empty: () => 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\n\r\n',
  '204': () => 'HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n',
  '304': () => 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n',
  '299': () => 'HTTP/1.1 299 Own Reason\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n',
  '503': () => 'HTTP/1.1 503 A\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n',
  hint: () =>
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-A\r\nX-A: b\r\n\r\nab',
  big: () => `HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n${'b'.repeat(200_000)}`,
  // Answers the key of RFC 6455, section 1.3, and closes.
  websocket: () =>
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x88\x00',
  broken: () => 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n'
}

/** @param isEarly True for a request that is answered when its head is there. */
export async function startRecorder(
  t: Teardown,
  answer: Answer,
  isEarly: (request: Received) => boolean
): Promise<RecordingBackend> {
  const received: Received[] = []
  const server = createServer({ noDelay: true }, (socket) => {
    let text = ''
    let current: Received | null = null
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      for (;;) {
        if (current === null) {
          const end = text.indexOf('\r\n\r\n')
          if (end < 0) return
          current = { head: text.slice(0, end), body: '', isComplete: false }
          text = text.slice(end + 4)
          received.push(current)
          if (isEarly(current)) answer(current, socket)
        }
        const rest = text.length
        text = takeBody(current, text)
        if (current.isComplete) {
          if (!isEarly(current)) answer(current, socket)
          current = null
        } else if (text.length === rest) return
      }
    })
  })
  const port = await listen(t, server)
  return { url: `http://127.0.0.1:${port}`, received }
}

/** Moves the bytes of the body to the request. @returns The rest. */
function takeBody(request: Received, text: string): string {
  let size: number
  if (/\r\ntransfer-encoding:/i.test(request.head)) {
    const end = /(?:^|\r\n)0\r\n\r\n/.exec(request.body + text)
    size = end === null ? text.length : end.index + end[0].length - request.body.length
    request.isComplete = end !== null
  } else {
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(request.head)?.[1] ?? 0)
    size = Math.min(text.length, length - request.body.length)
    request.isComplete = request.body.length + size === length
  }
  request.body += text.slice(0, size)
  return text.slice(size)
}
