/** Downloads and uploads of 1 MB per CPU second, wxgate beside nginx, in turns:
 *  `node bench/bodies.ts [ROUNDS]` prints a Markdown table in about a minute. Linux, two cores.
 *  nginx streams as wxgate does: it keeps no body in a file. */
import { rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { pinMyself, temporaryFolder } from './processes.ts'
import { median } from './statistics.ts'
import { nginx, type Running, wxgate } from './subjects.ts'

const ROUNDS = Number(process.argv[2] ?? 7)
const ROUND_MS = 2_000
const CONNECTIONS = 16
const SIZE = 1_000_000
const TARGET = 0.7
const GATEWAY_CORE = 0
const LOAD_CORE = 1
const BODY = Buffer.alloc(SIZE, 'x')
const HEAD_END = Buffer.from('\r\n\r\n')

type Direction = 'download' | 'upload'
const DIRECTIONS: readonly Direction[] = ['download', 'upload']

const headOf = (line: string, length: number) =>
  Buffer.from(`${line}\r\nContent-Type: application/octet-stream\r\nContent-Length: ${length}\r\n`)

/** Calls `onMessage` at the end of each message with the bytes of its body. */
function readMessages(socket: Socket, onMessage: (bytes: number) => void): void {
  let head: Buffer | null = null
  let [length, left] = [0, 0]
  const take = (chunk: Buffer): void => {
    if (left > 0) {
      const part = Math.min(left, chunk.length)
      left -= part
      if (left === 0) onMessage(length)
      if (part < chunk.length) take(chunk.subarray(part))
      return
    }
    const data: Buffer = head === null ? chunk : Buffer.concat([head, chunk])
    const end = data.indexOf(HEAD_END)
    head = end < 0 ? data : null
    if (end < 0) return
    length = Number(/^content-length: *(\d+)/im.exec(data.toString('latin1', 0, end))?.[1] ?? 0)
    left = length
    if (length === 0) onMessage(0)
    if (end + HEAD_END.length < data.length) take(data.subarray(end + HEAD_END.length))
  }
  socket.on('data', take)
}

/** Answers a request without a body with BODY, and one with a body with a short answer. */
function startBodyUpstream(): Promise<number> {
  const download = Buffer.concat([headOf('HTTP/1.1 200 OK', SIZE), Buffer.from('\r\n'), BODY])
  const done = Buffer.concat([headOf('HTTP/1.1 200 OK', 2), Buffer.from('\r\nok')])
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    readMessages(socket, (bytes) => socket.write(bytes === 0 ? download : done))
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

/** @returns Bodies that passed. */
function transfer({ port, tokens }: Running, direction: Direction, durationMs: number): Promise<number> {
  const isUpload = direction === 'upload'
  const authorization = tokens[0] === undefined ? '' : `Authorization: Bearer ${tokens[0]}\r\n`
  const rest = Buffer.from(`Host: bench.example\r\n${authorization}\r\n`)
  const request = isUpload
    ? Buffer.concat([headOf('POST /api/orders HTTP/1.1', SIZE), rest, BODY])
    : Buffer.concat([Buffer.from('GET /api/orders HTTP/1.1\r\n'), rest])
  const expected = isUpload ? 2 : SIZE
  const end = performance.now() + durationMs
  let done = 0
  const lane = () =>
    new Promise<void>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => socket.write(request))
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('the connection was closed')))
      readMessages(socket, (bytes) => {
        if (bytes !== expected) return reject(new Error(`an answer of ${bytes} bytes`))
        done++
        if (performance.now() < end) return void socket.write(request)
        resolve()
        socket.destroy()
      })
    })
  return Promise.all(Array.from({ length: CONNECTIONS }, lane)).then(() => done)
}

async function measure(running: Running, direction: Direction): Promise<number> {
  await transfer(running, direction, ROUND_MS / 10)
  const before = running.process.cpuMicros()
  const bodies = await transfer(running, direction, ROUND_MS)
  return (bodies * SIZE) / (running.process.cpuMicros() - before)
}

pinMyself(LOAD_CORE)
const folder = temporaryFolder()
const upstreamPort = await startBodyUpstream()
const surroundings = { core: GATEWAY_CORE, upstreamPort, folder, tokenCount: 1 }
const streamed = 'proxy_request_buffering off; proxy_max_temp_file_size 0; client_max_body_size 0;'
const [ours, theirs] = [await wxgate('wxgate', true).start(surroundings), await nginx(streamed).start(surroundings)]
let isFine = true
try {
  process.stdout.write('| bodies of 1 MB | wxgate MB per CPU s | nginx | × nginx | target |\n|---|--:|--:|--:|--:|\n')
  for (const direction of DIRECTIONS) {
    const samples: { wxgate: number; nginx: number }[] = []
    await transfer(ours, direction, ROUND_MS)
    for (let round = 0; round < ROUNDS; round++)
      samples.push({ wxgate: await measure(ours, direction), nginx: await measure(theirs, direction) })
    const ratio = median(samples.map((sample) => sample.wxgate / sample.nginx))
    isFine &&= ratio >= TARGET
    const [own, other] = [samples.map((sample) => sample.wxgate), samples.map((sample) => sample.nginx)].map(median)
    process.stdout.write(
      `| ${direction} | ${own?.toFixed(0)} | ${other?.toFixed(0)} | ${ratio.toFixed(2)} | ≥ ${TARGET} |\n`
    )
  }
} finally {
  await ours.process.stop()
  await theirs.process.stop()
  rmSync(folder, { recursive: true, force: true })
}
process.exit(isFine ? 0 : 1)
