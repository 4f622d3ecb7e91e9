/** Bodies of 1 GiB, a reader of 1 MB/s, and 20,000 slow requests with 4,096 descriptors. */
import { execFile } from 'node:child_process'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createFieldBackend } from '../support/field-backend.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { listen, type Teardown } from '../support/listen.ts'
import { patternHash } from '../support/pattern.ts'
import { statusOf } from '../support/process.ts'
import { until } from '../support/until.ts'
import { hashOf, openDownload, upload, watchMemory } from '../support/volume.ts'
import type { Figure } from './figure.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB
const SLOW_SECONDS = 10
const REQUESTS = 20_000
const FILES = 4_096
/** A process may open fewer files than there are requests. */
const CROWDS = 4

const quiet = {
  logging: { access: false },
  routes: [{ path: '/public', upstream: 'app', auth: 'public', bodyLimit: '2gb', timeout: '10m' }]
}

export async function soakBodies(t: Teardown): Promise<Figure[]> {
  const server = createFieldBackend()
  const sockets: Socket[] = []
  server.on('connection', (socket: Socket) => sockets.push(socket))
  const url = `http://127.0.0.1:${await listen(t, server)}`
  const gateway = await startGatewayProcess(t, url, { config: quiet })
  const large = (bytes: number) => openDownload(`${gateway.url}/public/large?bytes=${bytes}`)
  const transfer = async (bytes: number) => {
    const expected = patternHash(bytes)
    const memory = watchMemory(gateway)
    if ((await hashOf(await large(bytes))) !== expected) throw new Error('a download changed')
    if ((await upload(`${gateway.url}/public/x`, bytes)) !== `200 ${expected}`) throw new Error('an upload changed')
    return memory.stop()
  }
  await transfer(64 * MIB)
  const [small, gigabyte] = [await transfer(64 * MIB), await transfer(GIB)]
  const written = () => sockets.reduce((sum, socket) => sum + socket.bytesWritten, 0)
  const before = written()
  const res = await large(GIB)
  for (let second = 0; second < SLOW_SECONDS; second++) {
    for (let read = 0; read < MIB; ) read += (res.read() as Buffer | null)?.length ?? MIB
    await delay(1_000)
  }
  const taken = written() - before
  res.destroy()
  return [
    {
      what: '1 GiB up and down: median memory above that of 64 MiB',
      value: gigabyte.median - small.median,
      unit: 'MiB',
      limit: 32
    },
    { what: '1 GiB up and down: largest memory', value: gigabyte.peak, unit: 'MiB', limit: null },
    {
      what: `taken from the backend for a reader of 1 MB/s, ${SLOW_SECONDS} s`,
      value: taken / MIB,
      unit: 'MiB',
      limit: 80
    }
  ]
}

export async function soakCrowd(t: Teardown): Promise<Figure[]> {
  const url = `http://127.0.0.1:${await listen(t, createFieldBackend())}`
  const gateway = await startGatewayProcess(t, url, { files: FILES, config: quiet })
  const idle = gateway.descriptors().all
  const program = join(import.meta.dirname, 'crowd.ts')
  const args = [program, String(gateway.port), '/public/slow?ms=10000', String(REQUESTS / CROWDS)]
  const crowds = Promise.all(Array.from({ length: CROWDS }, () => promisify(execFile)(process.execPath, args)))
  const failed: Record<string, number> = { edge: 0, service: 0 }
  let [isOver, probes] = [false, 0]
  const probing = (async () => {
    for (; !isOver; await delay(200)) {
      probes++
      for (const path of ['/livez', '/readyz']) {
        if ((await statusOf(gateway.url + path)) !== 200) failed.edge = (failed.edge ?? 0) + 1
        if ((await statusOf(gateway.serviceUrl + path)) !== 200) failed.service = (failed.service ?? 0) + 1
      }
    }
  })()
  const outcomes: Record<string, number> = {}
  for (const { stdout } of await crowds) {
    for (const [name, count] of Object.entries(JSON.parse(stdout) as Record<string, number>))
      outcomes[name] = (outcomes[name] ?? 0) + count
  }
  isOver = true
  await probing
  const { 200: served = 0, 503: refused = 0, closed = 0, ECONNRESET: reset = 0, ...others } = outcomes
  // The pool closes its idle connections in its own time.
  await until(() => gateway.descriptors().all <= idle + served + 20)
  let lost = 0
  for (let count = 0; count < 200; count++) if ((await statusOf(`${gateway.url}/public/hello`)) !== 200) lost++
  const of = `of ${REQUESTS} slow requests with ${FILES} descriptors`
  return [
    { what: `served ${of}`, value: served, unit: '', limit: null },
    { what: `refused with 503 ${of}`, value: refused, unit: '', limit: null },
    { what: `closed before an answer ${of}`, value: closed + reset, unit: '', limit: REQUESTS / 10 },
    {
      what: `with another outcome ${of} ${JSON.stringify(others)}`,
      value: REQUESTS - served - refused - closed - reset,
      unit: '',
      limit: 0
    },
    {
      what: `failed of ${2 * probes} health checks of the service listener`,
      value: failed.service ?? 0,
      unit: '',
      limit: 0
    },
    {
      what: `failed of ${2 * probes} health checks of the edge`,
      value: failed.edge ?? 0,
      unit: '',
      limit: probes / 10
    },
    { what: 'failed of 200 requests afterwards', value: lost, unit: '', limit: 0 }
  ]
}
