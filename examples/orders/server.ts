/** A business service behind wxgate: one table, keyed by the `X-OpenId` that the gateway sends.
 *  It knows neither WeChat nor tokens nor logins. Only the gateway may be able to reach it. */
import { mkdirSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const BODY_LIMIT = 64 * 1024
const LIST_LIMIT = 100

const products = [
  { id: 'tea-250', name: 'Longjing tea, 250 g', price_cents: 6800 },
  { id: 'cup-01', name: 'Celadon cup', price_cents: 12900 },
  { id: 'kettle-15', name: 'Kettle, 1.5 l', price_cents: 25900 }
]

export interface OrdersOptions {
  /** The SQLite file, or `:memory:`. A missing folder is created. */
  readonly file: string
  /** One line per request, without the caller's identity. */
  readonly log?: (line: string) => void
}

export interface OrdersService {
  /** Port 0 takes a free one. Resolves with the port once connections are accepted. */
  listen(port: number, host?: string): Promise<number>
  /** Finishes running requests, then closes the database. */
  close(): Promise<void>
}

/** An answer other than success, thrown by a step and written in one place. */
class Refusal extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

export function createOrdersService(options: OrdersOptions): OrdersService {
  const orders = openOrders(options.file)
  const server = createServer((request, response) => {
    void handle(request, response)
  })

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
    try {
      const [status, body] = await answer(request, path)
      send(response, status, body)
    } catch (error) {
      if (!(error instanceof Refusal)) options.log?.(`error ${error instanceof Error ? error.message : 'unknown'}`)
      const refusal = error instanceof Refusal ? error : new Refusal(500, 'Something went wrong')
      send(response, refusal.status, { error: refusal.message }, refusal.headers)
      // Reads and drops the rest of a refused body, so that the client receives the answer.
      request.resume()
    }
    options.log?.(`${request.method} ${path} ${response.statusCode}`)
  }

  async function answer(request: IncomingMessage, path: string): Promise<[number, unknown]> {
    switch (path) {
      case '/healthz':
        allow(request, 'GET')
        return [200, { status: 'ok' }]
      case '/products':
        allow(request, 'GET')
        return [200, { products }]
      case '/orders': {
        allow(request, 'GET', 'POST')
        const openId = callerOf(request)
        if (request.method !== 'POST') return [200, { orders: orders.list(openId) }]
        const productId = productOf(await readJson(request))
        return [201, orders.create(openId, productId)]
      }
      default:
        throw new Refusal(404, 'Not found')
    }
  }

  return {
    listen: (port, host = '127.0.0.1') => listen(server, port, host),
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          orders.close()
          resolve()
        })
        setTimeout(() => server.closeAllConnections(), 2000).unref()
      })
  }
}

interface Order {
  id: number
  product_id: string
  /** Unix time in seconds. */
  create_time: number
}

function openOrders(file: string) {
  if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true })
  const database = new DatabaseSync(file)
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA busy_timeout = 2000;
    CREATE TABLE IF NOT EXISTS orders (
      id INTEGER PRIMARY KEY,
      openid TEXT NOT NULL,
      product_id TEXT NOT NULL,
      create_time INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS orders_by_openid ON orders (openid, id);
  `)
  const insert = database.prepare('INSERT INTO orders (openid, product_id, create_time) VALUES (?, ?, ?)')
  const select = database.prepare(
    `SELECT id, product_id, create_time FROM orders WHERE openid = ? ORDER BY id DESC LIMIT ${LIST_LIMIT}`
  )
  return {
    /** Newest first. The answer omits the openid, which a mini-program does not need. */
    list: (openId: string): unknown[] => select.all(openId),
    create(openId: string, productId: string): Order {
      const createTime = Math.floor(Date.now() / 1000)
      const { lastInsertRowid } = insert.run(openId, productId, createTime)
      return { id: Number(lastInsertRowid), product_id: productId, create_time: createTime }
    },
    close: () => database.close()
  }
}

function allow(request: IncomingMessage, ...methods: string[]): void {
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '')
  if (!methods.includes(method)) throw new Refusal(405, 'Method not allowed', { allow: methods.join(', ') })
}

/** The caller, as the gateway names it. Refuses two values joined by a comma. */
function callerOf(request: IncomingMessage): string {
  const openId = request.headers['x-openid']
  if (typeof openId !== 'string' || !/^[^\s,]{1,128}$/.test(openId)) {
    throw new Refusal(401, 'X-OpenId is missing: call this service through the gateway')
  }
  return openId
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const tooLarge = new Refusal(413, 'The body is larger than 64 KiB', { connection: 'close' })
  if (Number(request.headers['content-length'] ?? 0) > BODY_LIMIT) throw tooLarge
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop must not destroy the request: the answer uses the same socket.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += chunk.length
    if (size > BODY_LIMIT) throw tooLarge
    chunks.push(chunk)
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)))
  } catch {
    throw new Refusal(400, 'The body is not JSON')
  }
}

function productOf(body: unknown): string {
  const id = typeof body === 'object' && body !== null && 'product_id' in body ? body.product_id : undefined
  if (typeof id !== 'string' || id.length === 0 || id.length > 64) {
    throw new Refusal(400, 'product_id must be a string of 1 to 64 characters')
  }
  return id
}

function send(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {}
): void {
  if (response.headersSent || response.destroyed) return
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers
  })
  response.end(text)
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

if (import.meta.main) {
  const { ORDERS_PORT = '3000', ORDERS_HOST = '127.0.0.1', ORDERS_DB = './data/orders.db' } = process.env
  const service = createOrdersService({ file: ORDERS_DB, log: (line) => process.stdout.write(`${line}\n`) })
  const port = await service.listen(Number(ORDERS_PORT), ORDERS_HOST)
  process.stdout.write(`orders is listening on http://${ORDERS_HOST}:${port}\n`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void service.close())
}
