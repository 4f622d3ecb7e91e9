/** `wxgate echo`: a backend that answers with the request it received, to show what the gateway
 *  sends upstream. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseArgs } from 'node:util'
import { createServer } from '../node-http.ts'
import type { CliIo } from './io.ts'
import { readPort } from './ports.ts'
import { refuseCommandLine } from './usage.ts'

const USAGE = `Usage: wxgate echo [--port 3000] [--host 127.0.0.1]

Answers every request with its method, path, headers and body as JSON.

  --port  port to listen on (3000; 0 takes a free one)
  --host  address to listen on (127.0.0.1)
`

/** A longer body is cut in the answer (bytes). */
const BODY_LIMIT = 64 * 1024

/** Resolves with the exit status: 0 after a signal, 1 when the port is in use, 2 for a wrong
 *  command line. */
export async function run(args: readonly string[], io: CliIo, stop: AbortSignal): Promise<number> {
  let port: number
  let host: string
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: { type: 'string', default: '3000' },
        host: { type: 'string', default: '127.0.0.1' },
        help: { type: 'boolean', short: 'h' }
      }
    })
    if (values.help) {
      io.stdout(USAGE)
      return 0
    }
    port = readPort('--port', values.port)
    host = values.host
  } catch (error) {
    return refuseCommandLine('echo', error, USAGE, io)
  }
  const server = createServer((request, response) => void answer(request, response))
  try {
    const actual = await new Promise<number>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, () => {
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
    io.stdout(`Echo backend on http://${host.includes(':') ? `[${host}]` : host}:${actual}\n`)
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? error.code : error
    io.stderr(`wxgate echo: cannot listen on ${host}:${port} (${reason}): choose another --port\n`)
    return 1
  }
  await aborted(stop)
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  return 0
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const { text, size } = await readBody(request)
    const body = JSON.stringify(
      {
        method: request.method,
        url: request.url,
        headers: shorten(request.headersDistinct),
        body: text,
        body_bytes: size
      },
      null,
      2
    )
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' })
    response.end(`${body}\n`)
  } catch {
    // The client disconnected before its body was complete.
    response.destroy()
  }
}

/** A list only for a header that was sent more than once. */
function shorten(headers: NodeJS.Dict<string[]>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, values]) => [name, values?.length === 1 ? values[0] : values])
  )
}

async function readBody(request: IncomingMessage): Promise<{ text: string; size: number }> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    if (size < BODY_LIMIT) chunks.push(chunk.subarray(0, BODY_LIMIT - size))
    size += chunk.length
  }
  return { text: Buffer.concat(chunks).toString('utf8'), size }
}
