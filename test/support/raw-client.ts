/** HTTP/1 as bytes: a client that sends bytes no library would send, and separates responses
 *  strictly. */
import { connect, type Socket } from 'node:net'
import type { Teardown } from './listen.ts'
import { type RawResponse, readResponse } from './raw-response.ts'
import { idle } from './timers.ts'
import { PATIENCE, until } from './until.ts'

export interface RawClient {
  readonly socket: Socket
  send(bytes: string | Buffer): void
  /** The next complete response (1xx left out); rejects when the connection ends before, or
   *  after `PATIENCE`. */
  response(method?: string): Promise<RawResponse>
  /** Reads the head of the next response, and leaves the rest. */
  head(): Promise<string>
  /** Everything received and not yet read as a response. */
  readonly pending: string
  /** Resolves when the connection is closed from the other side or broken. */
  readonly closed: Promise<void>
  readonly isClosed: boolean
  close(): void
}

export async function openClient(t: Teardown, port: number): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let received = ''
  let isClosed = false
  let wake = () => {}
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1')
    wake()
  })
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => {
    const over = () => {
      isClosed = true
      resolve()
      wake()
    }
    socket.on('end', over)
    socket.on('close', over)
  })
  t.teardown(() => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return {
    socket,
    send: (bytes) => void socket.write(bytes),
    async response(method = 'GET') {
      const deadline = performance.now() + PATIENCE
      // Reading a long text for each of its pieces would cost more than the request.
      let atLeast = 0
      for (;;) {
        const isDue = isClosed || received.length >= atLeast
        const response = isDue ? readResponse(received, { isClosed, isBodiless: method === 'HEAD' }) : atLeast
        if (typeof response === 'number') atLeast = response
        else {
          atLeast = 0
          received = received.slice(response.length)
          if (response.status >= 200 || response.status === 101) return response
          if (response.status < 100) throw new Error('not a status line')
          continue
        }
        if (isClosed) throw new Error(`the connection ended after ${JSON.stringify(received.slice(0, 200))}`)
        const left = deadline - performance.now()
        if (left <= 0) throw new Error(`no whole response: ${JSON.stringify(received.slice(0, 200))}`)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
    },
    async head() {
      await until(() => received.includes('\r\n\r\n') || isClosed)
      const end = received.indexOf('\r\n\r\n')
      const head = received.slice(0, end)
      received = received.slice(end + 4)
      return head
    },
    get pending() {
      return received
    },
    closed,
    get isClosed() {
      return isClosed
    },
    close: () => void socket.destroy()
  }
}

/** Whether the port accepts no connection. */
export function isRefused(t: Teardown, port: number): Promise<boolean> {
  return openClient(t, port).then(
    (client) => {
      client.close()
      return false
    },
    () => true
  )
}

export interface RawExchange {
  readonly responses: readonly RawResponse[]
  /** Statuses of informational responses (100, 103). */
  readonly interim: readonly number[]
  /** Whether the server ended the connection. */
  readonly isClosed: boolean
  /** Bytes that are not a complete response. */
  readonly rest: string
  /** All that was received. */
  readonly text: string
}

export interface ExchangeOptions {
  /** Stop after this many responses. */
  readonly count?: number
  /** Stop after this many milliseconds in any case. */
  readonly wait?: number
  /** Responses that have no body although they announce one, by place: those to HEAD. */
  readonly bodiless?: readonly number[]
}

/** Writes each part in turn, and reads until there are enough responses or the server ends the
 *  connection. */
export function exchange(
  port: number,
  parts: string | Buffer | readonly (string | Buffer)[],
  { count = 1, wait = PATIENCE, bodiless = [] }: ExchangeOptions = {}
): Promise<RawExchange> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const responses: RawResponse[] = []
    const interim: number[] = []
    let [text, rest] = ['', '']
    let atLeast = 0
    const read = (isClosed: boolean) => {
      while (responses.at(-1)?.status !== 101) {
        if (!isClosed && rest.length < atLeast) return
        const response = readResponse(rest, { isClosed, isBodiless: bodiless.includes(responses.length) })
        if (typeof response === 'number') {
          atLeast = response
          return
        }
        atLeast = 0
        rest = rest.slice(response.length)
        if (response.status >= 100 && response.status < 200 && response.status !== 101) interim.push(response.status)
        else responses.push(response)
      }
    }
    const finish = (isClosed: boolean) => {
      clearTimeout(timer)
      read(isClosed)
      socket.destroy()
      resolve({ responses, interim, isClosed, rest, text })
    }
    const timer = setTimeout(finish, wait, false)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      rest += chunk.toString('latin1')
      read(false)
      if (responses.length >= count) finish(false)
    })
    for (const event of ['end', 'close', 'error']) socket.on(event, () => finish(true))
    const list = typeof parts === 'string' || Buffer.isBuffer(parts) ? [parts] : [...parts]
    const writeNext = async () => {
      const part = list.shift()
      if (part === undefined || socket.destroyed) return
      // The server reads what was written before the next part follows.
      socket.write(part, 'latin1', () => void idle().then(writeNext))
    }
    writeNext()
  })
}

/** A request without a body. */
export function get(path: string, token?: string, more = ''): string {
  const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`
  return `GET ${path} HTTP/1.1\r\nHost: a.example\r\n${authorization}${more}\r\n`
}
