/** A backend for traffic of every kind. As a program it takes its port as the argument. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { finished } from 'node:stream'
import { PATTERN } from './pattern.ts'
import { SWITCHING } from './websocket.ts'

/** Answers by the last segment of the path: `large?bytes=N` with N bytes of PATTERN, `slow?ms=N`
 *  after N milliseconds, `events` with an endless event stream; a POST with the SHA-256 of its
 *  body. */
export function createFieldBackend(): Server {
  const server = createServer(serve)
  server.keepAliveTimeout = 60_000
  server.on('clientError', (_error, socket) => socket.destroy())
  server.on('upgrade', (_req, socket) => {
    socket.on('error', () => {})
    socket.write(`${SWITCHING}\r\n`)
    socket.pipe(socket)
  })
  return server
}

function serve(req: IncomingMessage, res: ServerResponse): void {
  const { pathname, searchParams } = new URL(req.url ?? '/', 'http://backend')
  const name = pathname.slice(pathname.lastIndexOf('/'))
  if (req.method === 'POST') digest(req, res)
  else if (name === '/large') sendPattern(res, Number(searchParams.get('bytes')))
  else if (name === '/slow') setTimeout(() => res.end('late'), Number(searchParams.get('ms'))).unref()
  else if (name === '/events') sendEvents(res)
  else res.end('ok')
}

function digest(req: IncomingMessage, res: ServerResponse): void {
  const hash = createHash('sha256')
  req.on('data', (chunk: Buffer) => hash.update(chunk))
  req.on('error', () => res.destroy())
  req.on('end', () => res.end(hash.digest('hex')))
}

function sendPattern(res: ServerResponse, bytes: number): void {
  res.writeHead(200, { 'content-length': bytes })
  let left = bytes
  const write = () => {
    while (left > 0) {
      const chunk = PATTERN.subarray(0, Math.min(left, PATTERN.length))
      left -= chunk.length
      if (!res.write(chunk)) {
        res.once('drain', write)
        return
      }
    }
    res.end()
  }
  write()
}

function sendEvents(res: ServerResponse): void {
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  const timer = setInterval(() => res.write('data: tick\n\n'), 50)
  finished(res, () => clearInterval(timer))
}

if (import.meta.main) createFieldBackend().listen(Number(process.argv[2]), '127.0.0.1')
