/** Large bodies and crowds of slow requests cost the gateway bounded memory and descriptors.
 *  `npm run soak` has the larger figures. */
import { existsSync } from 'node:fs'
import type { Socket } from 'node:net'
import { type Test, test } from 'tap'
import { descriptorLimit, divideDescriptors } from '../../src/http/connection-room.ts'
import { createFieldBackend } from '../support/field-backend.ts'
import { buildTestGateway } from '../support/gateway.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { listen } from '../support/listen.ts'
import { patternHash } from '../support/pattern.ts'
import { statusOf } from '../support/process.ts'
import { until } from '../support/until.ts'
import { hashOf, openDownload, sendCrowd, untilStill, upload, watchMemory } from '../support/volume.ts'

const MIB = 1024 * 1024
const BYTES = 128 * MIB
/** A held body would need 128. The collector frees the buffers of Node's HTTP server late. */
const GROWTH_MIB = 64
/** Buffers of the kernel on both sides of the gateway, at their largest. */
const IN_BUFFERS = 80 * MIB

async function startBackend(t: Test) {
  const server = createFieldBackend()
  const sockets: Socket[] = []
  server.on('connection', (socket: Socket) => sockets.push(socket))
  const url = `http://127.0.0.1:${await listen(t, server)}`
  return { url, written: () => sockets.reduce((sum, socket) => sum + socket.bytesWritten, 0) }
}

const LARGE_BODIES = {
  logging: { access: false },
  routes: [{ path: '/public', upstream: 'app', auth: 'public', bodyLimit: '2gb', timeout: '10m' }]
}

test('bodies of 128 MiB pass byte for byte in both directions, and memory is that of smaller ones', async (t) => {
  if (!existsSync('/proc/self/status')) return
  const { url } = await startBackend(t)
  const gateway = await startGatewayProcess(t, url, { config: LARGE_BODIES })
  const memoryOf = async (bytes: number) => {
    const memory = watchMemory(gateway)
    const expected = patternHash(bytes)
    t.equal(await hashOf(await openDownload(`${gateway.url}/public/large?bytes=${bytes}`)), expected)
    t.equal(await upload(`${gateway.url}/public/digest`, bytes), `200 ${expected}`)
    return memory.stop()
  }
  // The heap reaches its working size with the first bodies.
  await memoryOf(16 * MIB)
  const [small, large] = [await memoryOf(16 * MIB), await memoryOf(BYTES)]
  t.ok(large.median - small.median <= GROWTH_MIB, `${JSON.stringify({ small, large })}`)
})

test('a client that stops reading stops the backend, and gets every byte once it reads again', async (t) => {
  const { url, written } = await startBackend(t)
  const gateway = await startGatewayProcess(t, url, { config: LARGE_BODIES })
  const download = await openDownload(`${gateway.url}/public/large?bytes=${BYTES}`)
  const taken = await untilStill(written, 300)
  t.ok(taken <= IN_BUFFERS, `${taken} bytes were taken from the backend`)
  t.equal(await hashOf(download), patternHash(BYTES))
})

test('readers of different pace get their own bytes', async (t) => {
  const { url } = await startBackend(t)
  const gateway = await buildTestGateway(t, url, { config: { logging: { access: false } } })
  const read = async (index: number) => {
    const bytes = (index + 1) * 1_500_000 + index
    const res = await openDownload(`${gateway.url}/public/large?bytes=${bytes}`)
    return (await hashOf(res, 2 * index)) === patternHash(bytes)
  }
  for (let round = 0; round < 2; round++)
    t.same(await Promise.all(Array.from({ length: 6 }, (_, index) => read(index))), Array(6).fill(true))
})

test('with 512 descriptors 1,000 slow requests are served or refused, health checks answer, and all of it recovers', async (t) => {
  if (!Number.isFinite(descriptorLimit())) return
  const { url } = await startBackend(t)
  const gateway = await startGatewayProcess(t, url, { files: 512, config: { logging: { access: false } } })
  const idle = gateway.descriptors().all
  const crowd = sendCrowd(gateway.port, '/public/slow?ms=3000', 1_000)
  const { served } = divideDescriptors(512)
  await until(() => crowd.waiting <= served)
  for (const base of [gateway.url, gateway.serviceUrl])
    for (const path of ['/livez', '/readyz']) t.equal(await statusOf(base + path), 200, path)
  await crowd.over
  t.same(Object.keys(crowd.outcomes).sort(), ['200', '503'], JSON.stringify(crowd.outcomes))
  t.ok((crowd.outcomes['200'] ?? 0) > served / 2, JSON.stringify(crowd.outcomes))
  t.equal(await statusOf(`${gateway.url}/public/hello`), 200)
  // Idle connections of the pool and of this test stay open for a while.
  await until(() => gateway.descriptors().all <= idle + served + 10)
  const again = sendCrowd(gateway.port, '/public/hello', served - 10)
  await again.over
  t.same(again.outcomes, { 200: served - 10 })
})
