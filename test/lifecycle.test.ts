/** The running process and its end, seen from outside. lifecycle-start.test.ts has its start. */
import { execFileSync } from 'node:child_process'
import { closeSync, constants, copyFileSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request, type ServerResponse } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { join } from 'node:path'
import { connect as connectTls, type PeerCertificate } from 'node:tls'
import { type Test, test } from 'tap'
import { hasOpenssl } from './support/certificates.ts'
import { wxgate } from './support/cli.ts'
import { defaultConfig, next } from './support/gateway.ts'
import { startServer } from './support/listen.ts'
import { freePort, startProcess, type TestProcess, untilStatus, writeConfig } from './support/process.ts'
import { get, isRefused, openClient } from './support/raw-client.ts'
import { until } from './support/until.ts'

const MB = 1024 * 1024

interface Running extends TestProcess {
  readonly port: number
  readonly url: string
  readonly serviceUrl: string
  readonly file: string
}

async function start(t: Test, upstream: string, server: Record<string, unknown> = {}): Promise<Running> {
  const [port, servicePort] = [await freePort(), await freePort()]
  const config = {
    ...defaultConfig(upstream),
    server: { host: '127.0.0.1', port, loginLimit: { max: 1_000, window: '1m' }, ...server },
    service: { host: '127.0.0.1', port: servicePort },
    routes: [
      { path: '/api', upstream: 'app' },
      { path: '/public', upstream: 'app', auth: 'public', bodyLimit: '1gb' }
    ]
  }
  const { file } = writeConfig(t, config)
  const running = startProcess(t, ['run', '-c', file])
  const url = `${server.tls ? 'https' : 'http'}://127.0.0.1:${port}`
  const serviceUrl = `http://127.0.0.1:${servicePort}`
  if ((await untilStatus(`${serviceUrl}/readyz`, 200)) !== 200) throw new Error(running.output())
  return { ...running, port, url, serviceUrl, file }
}

test('health, a drain and its early end', async (t) => {
  const upstream = await startServer(t, (req, res) => void (req.url === '/public/held' || res.end('ok')))
  const gateway = await start(t, upstream, { drain: { delay: '10m', timeout: '10m' } })
  const check = async (...args: string[]) => (await wxgate(['healthcheck', ...args])).status

  await t.test('health on both listeners, and wxgate healthcheck for containers', async (t) => {
    for (const base of [gateway.url, gateway.serviceUrl]) {
      for (const path of ['/livez', '/readyz', '/healthz']) {
        const response = await fetch(base + path)
        t.equal(response.status, 200, path)
        t.match(await response.json(), { status: 'ok' })
      }
    }
    t.same(
      await Promise.all([
        check('-c', gateway.file),
        check('--url', `${gateway.url}/readyz`),
        check('--url', `${gateway.serviceUrl}/livez`),
        check('--url', `${gateway.url}/nothing`),
        check('--url', `http://127.0.0.1:${await freePort()}/readyz`),
        check('--url', 'nonsense')
      ]),
      [0, 0, 0, 1, 1, 2]
    )
    const { server } = JSON.parse(readFileSync(gateway.file, 'utf8')) as { server: unknown }
    writeFileSync(gateway.file, JSON.stringify({ server, routes: 'spoilt' }))
    t.equal(await check('-c', gateway.file), 0, 'the gateway keeps the previous file')
  })

  await t.test('SIGTERM: for drain.delay it is not ready and still serves', async (t) => {
    gateway.child.kill('SIGTERM')
    t.equal(await untilStatus(`${gateway.url}/readyz`, 503), 503)
    t.equal(await untilStatus(`${gateway.serviceUrl}/readyz`, 503), 503)
    t.equal(await untilStatus(`${gateway.url}/livez`, 200), 200)
    t.equal(await check('-c', gateway.file), 1, 'draining')
    t.match(await (await fetch(`${gateway.url}/readyz?verbose`)).json(), { status: 'draining' })
    const served = await fetch(`${gateway.url}/public/x`)
    t.equal(await served.text(), 'ok')
    t.equal(served.headers.get('connection'), 'close')
  })

  await t.test('a second signal ends it without waiting for the rest of the drain', async (t) => {
    const client = await openClient(t, gateway.port)
    client.send(get('/public/held'))
    gateway.child.kill('SIGINT')
    t.equal(await gateway.exited, 0)
    t.match(gateway.output(), 'stopped at once')
  })
})

test('SIGTERM: after drain.delay no connection is accepted, running requests are finished, and the exit status is 0', async (t) => {
  const held: ServerResponse[] = []
  let uploads = 0
  const upstream = await startServer(t, (req, res) => {
    if (req.url?.endsWith('/slow')) held.push(res)
    else if (req.method === 'POST') {
      let size = 0
      uploads++
      req.on('data', (chunk: Buffer) => {
        size += chunk.length
      })
      req.on('end', () => res.end(`${size} bytes`))
    } else res.end('ok')
  })
  const gateway = await start(t, upstream, { drain: { delay: '10ms', timeout: '10m' } })
  const slow = await openClient(t, gateway.port)
  slow.send(get('/public/slow'))
  await until(() => held.length === 1)
  const upload = await openClient(t, gateway.port)
  upload.send('POST /public/up HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf')
  await until(() => uploads === 1)

  gateway.child.kill('SIGTERM')
  await until(() => isRefused(t, gateway.port))
  t.equal(gateway.child.exitCode, null, 'it waits for running requests')
  upload.send('done')
  t.match(await upload.response(), { status: 200, body: '8 bytes', headers: { connection: 'close' } })
  held[0]?.end('late')
  t.match(await slow.response(), { status: 200, body: 'late' })
  t.equal(await gateway.exited, 0)
  t.match(gateway.output(), '"msg":"stopped"')
})

test('an endless request is cut at drain.timeout, and the exit status is 0', async (t) => {
  let requests = 0
  const upstream = await startServer(t, (req, res) => {
    requests++
    req.resume()
    if (req.url?.endsWith('/events')) res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
  })
  const gateway = await start(t, upstream, { drain: { delay: '100ms', timeout: '600ms' } })
  const events = await openClient(t, gateway.port)
  events.send(get('/public/events'))
  await until(() => events.pending.includes('data: 1'))
  const silent = await openClient(t, gateway.port)
  silent.send(get('/public/silent'))
  const upload = await openClient(t, gateway.port)
  upload.send('POST /public/up HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf')
  const unread = await openClient(t, gateway.port)
  unread.socket.pause()
  unread.send(get('/public/unread'))
  await until(() => requests === 4)
  const signalled = performance.now()
  gateway.child.kill('SIGTERM')
  t.equal(await gateway.exited, 0)
  const took = performance.now() - signalled
  t.ok(took >= 650, `${took} ms`)
  await Promise.all([events.closed, silent.closed, upload.closed])
})

test('a reader of the log that has stopped reading delays neither a request nor the end', async (t) => {
  const upstream = await startServer(t, (_req, res) => res.end('ok'))
  const [port, servicePort] = [await freePort(), await freePort()]
  const { folder, file } = writeConfig(t, {
    ...defaultConfig(upstream),
    server: { host: '127.0.0.1', port, drain: { delay: '10ms', timeout: '1s' } },
    service: { host: '127.0.0.1', port: servicePort }
  })
  const pipe = join(folder, 'log')
  execFileSync('mkfifo', [pipe])
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(pipe, constants.O_WRONLY)
  t.teardown(() => [reader, writer].forEach(closeSync))
  const gateway = startProcess(t, ['run', '-c', file], {}, writer)
  t.equal(await untilStatus(`http://127.0.0.1:${port}/readyz`, 200), 200, gateway.output())
  const client = await openClient(t, port)
  // More than a pipe holds.
  let answered = 0
  for (let count = 0; count < 400; count++) {
    client.send(get(`/public/${'x'.repeat(280)}`))
    if ((await client.response()).status === 200) answered++
  }
  t.equal(answered, 400)
  gateway.child.kill('SIGTERM')
  t.equal(await gateway.exited, 0)
})

test('the edge speaks TLS from files, and uses new ones when they change', async (t) => {
  const certificates = hasOpenssl(t)
  if (!certificates) return
  const first = certificates.make('first', 'DNS:first.example')
  const second = certificates.make('second', 'DNS:second.example')
  const { folder } = writeConfig(t, {})
  const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
  const put = (from: typeof first) => {
    copyFileSync(from.certFile, certFile)
    copyFileSync(from.keyFile, keyFile)
  }
  put(first)
  let proto: string | undefined
  const upstream = await startServer(t, (req, res) => {
    proto = String(req.headers['x-forwarded-proto'])
    res.end('ok')
  })
  const gateway = await start(t, upstream, {
    tls: { cert: { file: certFile }, key: { file: keyFile } },
    drain: { delay: '1ms', timeout: '1s' }
  })
  const subject = () =>
    new Promise<string>((resolve, reject) => {
      const socket = connectTls({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        resolve(String((socket.getPeerCertificate() as PeerCertificate).subject.CN))
        socket.destroy()
      })
      socket.on('error', reject)
    })
  t.equal(await subject(), 'first')
  const response = (await next(
    tlsRequest({ port: gateway.port, host: '127.0.0.1', path: '/public/x', rejectUnauthorized: false }).end(),
    'response'
  )) as [IncomingMessage]
  t.equal(response[0].statusCode, 200)
  response[0].resume()
  t.equal(proto, 'https')
  const kept = connectTls({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false })
  t.teardown(() => kept.destroy())
  await next(kept, 'secureConnect')

  put(second)
  await until(async () => (await subject()) === 'second')
  t.notOk(kept.destroyed, 'an earlier connection goes on')
  writeFileSync(keyFile, 'not a key')
  await until(() => gateway.output().includes('could not be read again'))
  t.equal(await subject(), 'second', 'files that do not match are not used')

  // Plain HTTP on the TLS port, and connections that never finish a handshake, affect no other
  // client.
  const plain = await openClient(t, gateway.port)
  plain.send(get('/public/x'))
  await plain.closed
  t.equal(await subject(), 'second')
  put(second)
  t.equal((await wxgate(['healthcheck', '-c', gateway.file])).status, 0)
})

test('U10 200 MB through the process, up and down, at the pace of the slower side, in little memory', async (t) => {
  let sending: ServerResponse | undefined
  const upstream = await startServer(t, (req, res) => {
    req.resume()
    if (req.method === 'PUT') {
      req.on('end', () => res.end('done'))
      return
    }
    sending = res
    const block = Buffer.alloc(MB)
    let left = 200
    const write = () => {
      while (left-- > 0) if (!res.write(block)) return void res.once('drain', write)
      res.end()
    }
    write()
  })
  const gateway = await start(t, upstream, { drain: { delay: '1ms', timeout: '1s' } })
  await fetch(`${gateway.url}/public/x`, { method: 'PUT', body: 'x'.repeat(MB) })
  const status = `/proc/${gateway.child.pid}/status`
  if (!existsSync(status)) {
    t.comment('NOT TESTED: memory is only measured with /proc')
    return
  }
  const rss = () => Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync(status, 'utf8'))?.[1] ?? 0) / 1024
  const before = rss()
  let peak = before
  const watch = setInterval(() => {
    peak = Math.max(peak, rss())
  }, 20)
  t.teardown(() => clearInterval(watch))
  const upload = request(`${gateway.url}/public/up`, { method: 'PUT', headers: { 'content-length': 200 * MB } })
  const answered = next(upload, 'response')
  const block = Buffer.alloc(MB)
  for (let count = 0; count < 200; count++) if (!upload.write(block)) await next(upload, 'drain')
  upload.end()
  const [done] = (await answered) as [IncomingMessage]
  t.equal(done.statusCode, 200)
  done.resume()
  const download = request(`${gateway.url}/public/down`)
  download.end()
  const [stream] = (await next(download, 'response')) as [IncomingMessage]
  // The client does not read yet.
  await until(() => sending?.writableNeedDrain === true)
  let received = 0
  for await (const chunk of stream) received += (chunk as Buffer).length
  t.equal(received, 200 * MB)
  t.comment(`${before.toFixed(0)} MB before, ${peak.toFixed(0)} MB at the peak`)
  t.ok(peak - before < 130, `${before.toFixed(0)} MB before, ${peak.toFixed(0)} MB at the peak`)
})
