/** The process on a full disk, with a log that no reader takes, without its primary, and in a
 *  terminal. */
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { defaultConfig } from '../support/gateway.ts'
import {
  childrenOf,
  freePort,
  isRunning,
  MAIN,
  PLAIN_ENV,
  startProcess,
  untilStatus,
  writeConfig
} from '../support/process.ts'
import { until } from '../support/until.ts'
import { startUpstream, type TestUpstream } from '../support/upstream.ts'

async function configure(t: Test, upstream: TestUpstream, workers = 1) {
  const [port, servicePort] = [await freePort(), await freePort()]
  const { folder, file } = writeConfig(t, {
    ...defaultConfig(upstream.url),
    server: { host: '127.0.0.1', port, workers, drain: { delay: '10ms', timeout: '60s' } },
    service: { host: '127.0.0.1', port: servicePort },
    ...(workers > 1 ? { store: 'sqlite:./state.db' } : {})
  })
  return { folder, file, url: `http://127.0.0.1:${port}`, serviceUrl: `http://127.0.0.1:${servicePort}` }
}

const call = (url: string, path = '/public/x') =>
  fetch(url + path, { headers: { connection: 'close' } }).then((answer) => answer.text())

test('a log on a full disk loses lines, tells how many once there is space, and joins no two lines', async (t) => {
  const upstream = await startUpstream(t)
  const { folder, file, url, serviceUrl } = await configure(t, upstream)
  const log = join(folder, 'log')
  // A limit of the file size stands for the disk: the kernel writes up to it and no further, and
  // sends a signal.
  const ignore = join(folder, 'ignore.mjs')
  writeFileSync(ignore, "process.on('SIGXFSZ', () => {})")
  const writer = openSync(log, 'a')
  const gateway = startProcess(t, ['run', '-c', file], { NODE_OPTIONS: `--import=${ignore}` }, writer)
  closeSync(writer)
  t.equal(await untilStatus(`${url}/readyz`, 200), 200, gateway.output())
  const limit = (size: string) =>
    execFileSync('prlimit', ['--pid', String(gateway.child.pid), `--fsize=${size}:unlimited`])
  const lines = () => readFileSync(log, 'utf8').trimEnd().split('\n')
  let calls = 0
  const request = async () => void (await call(url, `/public/${calls++}`))
  // With its line, all earlier ones are in the log.
  await request()
  await until(() => lines().some((line) => line.includes('/public/0')))
  // In the middle of a line.
  const full = readFileSync(log).length + 500
  limit(String(full))
  for (let count = 0; count < 20; count++) await request()
  await until(() => readFileSync(log).length === full)
  for (let count = 0; count < 5; count++) await request()
  limit('unlimited')
  await until(async () => {
    await request()
    return lines().some((line) => line.includes('log lines were lost'))
  })
  const metrics = await call(serviceUrl, '/metrics')
  gateway.child.kill('SIGTERM')
  t.equal(await gateway.exited, 0)

  const isWhole = (line: string) => line.startsWith('{') && line.endsWith('}')
  t.equal(lines().filter((line) => !isWhole(line)).length, 1, 'the line that was being written')
  const entries = lines()
    .filter(isWhole)
    .map((line) => JSON.parse(line) as { msg: string; path?: string; lines?: number })
  const lost = entries.reduce((sum, { lines = 0 }) => sum + lines, 0)
  const written = entries.filter(({ path }) => path?.startsWith('/public/')).length
  t.ok(lost > 0)
  t.match(metrics, `wxgate_log_lost_lines_total ${lost}\n`)
  t.equal(lost + written, calls, 'each request is in the log or counted as lost')
  t.equal(entries.at(-1)?.msg, 'stopped')
})

test('a log on a socket whose reader has stopped holds up neither a request nor the end', async (t) => {
  const upstream = await startUpstream(t)
  const { folder, file, url } = await configure(t, upstream)
  const path = join(folder, 'journal')
  const held: Socket[] = []
  const journal = createServer((socket) => void held.push(socket.pause())).listen(path)
  const writer = connect(path)
  t.teardown(() => {
    for (const socket of [...held, writer]) socket.destroy()
    journal.close()
  })
  await until(() => held.length === 1)
  const gateway = startProcess(t, ['run', '-c', file], {}, writer)
  t.equal(await untilStatus(`${url}/readyz`, 200), 200, gateway.output())
  // More than the socket holds.
  for (let count = 0; count < 600; count++) {
    const answer = await fetch(`${url}/public/${'x'.repeat(500)}`)
    await answer.arrayBuffer()
    if (answer.status !== 200) t.fail(`status ${answer.status}`)
  }
  gateway.child.kill('SIGTERM')
  t.equal(await gateway.exited, 0)
})

test('workers whose primary was killed finish the requests under way, then end', async (t) => {
  const waiting: ServerResponse[] = []
  const upstream = await startUpstream(t, (_request, response) => void waiting.push(response))
  const { file, url } = await configure(t, upstream, 2)
  const gateway = startProcess(t, ['run', '-c', file])
  t.equal(await untilStatus(`${url}/readyz`, 200), 200, gateway.output())
  const workers = childrenOf(gateway.child.pid)
  t.equal(workers.length, 2)
  t.teardown(() => {
    for (const worker of workers) signal(worker, 'SIGKILL')
  })
  const slow = call(url)
  await until(() => waiting.length === 1)
  gateway.child.kill('SIGKILL')
  await until(() => gateway.output().split('draining').length === 3)
  waiting[0]?.end('late')
  t.equal(await slow, 'late')
  await until(() => !workers.some(isRunning))
  t.equal(await untilStatus(`${url}/readyz`, 0), 0, 'no process is left on the port')
})

/** @returns Whether there is such a process. */
function signal(id: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(id, name)
  } catch {
    return false
  }
}

test('Ctrl-C in a terminal ends at once when nothing is under way, and drains when a request is', async (t) => {
  for (const isBusy of [false, true]) {
    const waiting: ServerResponse[] = []
    const upstream = await startUpstream(t, (_request, response) => void waiting.push(response))
    const { file, url } = await configure(t, upstream)
    // util-linux's script gives it a terminal.
    const terminal = spawn('script', ['-qefc', `exec ${process.execPath} ${MAIN} run -c ${file}`, '/dev/null'], {
      env: PLAIN_ENV,
      stdio: ['pipe', 'pipe', 'ignore']
    })
    let output = ''
    terminal.stdout.on('data', (chunk) => {
      output += chunk
    })
    const exited = new Promise((resolve) => terminal.on('exit', resolve))
    t.teardown(async () => {
      if (terminal.exitCode === null) terminal.kill('SIGTERM')
      await exited
    })
    t.equal(await untilStatus(`${url}/readyz`, 200), 200, output)
    const slow = isBusy ? call(url) : null
    await until(() => waiting.length === (isBusy ? 1 : 0))
    terminal.stdin.write('\x03')
    if (isBusy) await until(() => output.includes('draining'))
    waiting[0]?.end('late')
    if (slow !== null) t.equal(await slow, 'late')
    t.equal(await exited, 0)
    t.equal(output.includes('draining'), isBusy)
  }
})
