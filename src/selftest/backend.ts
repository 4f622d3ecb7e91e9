/** The backend that the self-test plays: echoes requests, and sends the answers of family U to
 *  requests that name one. */
import { createServer, type Socket } from 'node:net'
import { ANSWER_HEADER } from './corpus/answer-row.ts'
import { readChunks } from './wire.ts'

export interface BackendOptions {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  /** Bytes by the id of their case. `{pause}` separates two writes, `{end}` closes the
   *  connection. */
  readonly answers: ReadonlyMap<string, string>
}

export interface Backend {
  readonly port: number
  close(): Promise<void>
}

interface Request {
  readonly head: string
  readonly body: string
  /** Bytes of head and body. */
  readonly length: number
}

/** Milliseconds at `{pause}`. */
const PAUSE = 30

export async function createBackend({ host, port, answers }: BackendOptions): Promise<Backend> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    let received = ''
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
      for (let request = readRequest(received); request !== null; request = readRequest(received)) {
        received = received.slice(request.length)
        const id = headerValue(request.head, ANSWER_HEADER)
        send(socket, answers.get(id) ?? echoOf(request))
      }
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
  }
}

function send(socket: Socket, bytes: string): void {
  const [text = '', end] = bytes.split('{end}')
  const parts = text.split('{pause}')
  const writeNext = () => {
    if (socket.destroyed) return
    socket.write(parts.shift() ?? '', 'latin1')
    if (parts.length > 0) setTimeout(writeNext, PAUSE)
    else if (end !== undefined) socket.end()
  }
  writeNext()
}

function echoOf({ head, body }: Request): string {
  const text = JSON.stringify({ head: head.split('\r\n'), body })
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${Buffer.from(text).toString('latin1')}`
}

/** The first complete request of the text; null while it is incomplete. */
function readRequest(text: string): Request | null {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return null
  const head = text.slice(0, end)
  const start = end + 4
  if (headerValue(head, 'transfer-encoding') !== '') {
    const chunks = readChunks(text, start)
    return chunks === null ? null : { head, body: chunks.body, length: chunks.end }
  }
  const length = start + Number(headerValue(head, 'content-length') || 0)
  return text.length < length ? null : { head, body: text.slice(start, length), length }
}

function headerValue(head: string, name: string): string {
  return new RegExp(`\r\n${name}: *([^\r\n]*)`, 'i').exec(head)?.[1] ?? ''
}
