/** The self-test as a function and as a command, and servers for it to judge. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { createReport, type Report } from '../../src/selftest/report.ts'
import { runSelftest } from '../../src/selftest/run.ts'
import { type CliResult, wxgate } from './cli.ts'
import { listen, type Teardown } from './listen.ts'
import type { Seen } from './upstream.ts'

/** For an upstream: answers with the headers and the body that it received. */
export const echo = (req: IncomingMessage, res: ServerResponse, { body }: Seen) =>
  void res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ headers: req.rawHeaders, body }))

export interface Run {
  readonly token?: string
  readonly route?: string
  readonly timeout?: number
  readonly backend?: { readonly host: string; readonly port: number }
}

export async function selftest(
  url: string,
  { token, route = '/admin', timeout = 3_000, ...rest }: Run = {}
): Promise<Report> {
  const against = new URL(url)
  const result = await runSelftest({ against, route, token: token ?? null, timeout, ...rest })
  return createReport(result, { version: '1', now: new Date(0), target: against.origin, token: token ?? null })
}

export const command = (args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> =>
  wxgate(['selftest', ...args], { env })

/** Answers whenever the text looks like a whole request, and continues with the next one. */
export async function startNaive(
  t: Teardown,
  answer: (request: string, socket: Socket) => string | null
): Promise<{ url: string; most: () => number; count: () => number }> {
  let open = 0
  let most = 0
  let count = 0
  const server = createServer((socket) => {
    most = Math.max(most, ++open)
    let received = ''
    socket.on('error', () => {})
    socket.on('close', () => open--)
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      for (let end = received.indexOf('\r\n\r\n'); end >= 0; end = received.indexOf('\r\n\r\n')) {
        const request = received.slice(0, end + 4)
        received = received.slice(end + 4)
        count++
        const text = answer(request, socket)
        if (text === null) socket.destroy()
        else socket.write(text)
        if (/connection: close/i.test(request)) socket.end()
      }
    })
  })
  return { url: `http://127.0.0.1:${await listen(t, server)}`, most: () => most, count: () => count }
}

export const REFUSAL = 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 2\r\n\r\nno'
