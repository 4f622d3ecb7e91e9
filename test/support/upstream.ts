/** A business service that records its requests. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { listen, type Teardown } from './listen.ts'

export interface Seen {
  readonly method: string
  readonly url: string
  /** Name and value in turns, as received. */
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface TestUpstream {
  readonly url: string
  readonly port: number
  readonly seen: Seen[]
  close(): Promise<void>
}

type Handler = (req: IncomingMessage, res: ServerResponse, seen: Seen) => void

/** @param handler Answers once the body was read; without one, 200 and `{"ok":true}`. */
export async function startUpstream(t: Teardown, handler?: Handler): Promise<TestUpstream> {
  const seen: Seen[] = []
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('error', () => {})
    req.on('end', () => {
      const entry = {
        method: req.method ?? '',
        url: req.url ?? '',
        rawHeaders: req.rawHeaders,
        headers: req.headers,
        body: Buffer.concat(chunks).toString('utf8')
      }
      seen.push(entry)
      if (handler) handler(req, res, entry)
      else res.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')
    })
  })
  const port = await listen(t, server)
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { url: `http://127.0.0.1:${port}`, port, seen, close }
}
