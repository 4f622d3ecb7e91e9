/** The start of the process: early signals, faults of its environment, and its messages. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { commandNames } from '../src/cli/commands.ts'
import { wxgate } from './support/cli.ts'
import { defaultConfig } from './support/gateway.ts'
import { freePort, PLAIN_ENV, startProcess, untilStatus, writeConfig } from './support/process.ts'
import { until } from './support/until.ts'

for (const workers of [1, 2]) {
  test(`a signal during the start is not lost (workers: ${workers})`, async (t) => {
    const [port, servicePort] = [await freePort(), await freePort()]
    const { folder, file } = writeConfig(t, {
      ...defaultConfig('http://127.0.0.1:9'),
      server: { host: '127.0.0.1', port, workers, drain: { delay: '10ms', timeout: '10m' } },
      service: { host: '127.0.0.1', port: servicePort },
      store: 'sqlite:./state.db'
    })
    const gateway = startProcess(t, ['run', '-c', file], signalsEarly(folder, 'SIGTERM'))
    // A worker that missed the signal would be ended only after drain.timeout.
    t.equal(await gateway.exited, 0)
    t.match(gateway.output(), /draining.*"msg":"stopped"/s)
  })

  test(`a SIGHUP during the start does not end it, and is handled afterwards (workers: ${workers})`, async (t) => {
    const [port, servicePort] = [await freePort(), await freePort()]
    const { folder, file } = writeConfig(t, {
      ...defaultConfig('http://127.0.0.1:9'),
      server: { host: '127.0.0.1', port, workers, drain: { delay: '10ms', timeout: '1s' } },
      service: { host: '127.0.0.1', port: servicePort },
      store: 'sqlite:./state.db'
    })
    const gateway = startProcess(t, ['run', '-c', file], signalsEarly(folder, 'SIGHUP'))
    t.equal(await untilStatus(`http://127.0.0.1:${port}/readyz`, 200), 200)
    await until(() => gateway.output().includes('the configuration was reloaded'))
    gateway.child.kill('SIGTERM')
    t.equal(await gateway.exited, 0)
  })
}

test('started by npm, it ends when the shell in between was ended by a signal', async (t) => {
  const [port, servicePort] = [await freePort(), await freePort()]
  const { file } = writeConfig(t, {
    ...defaultConfig('http://127.0.0.1:9'),
    server: { host: '127.0.0.1', port, drain: { delay: '10ms', timeout: '1s' } },
    service: { host: '127.0.0.1', port: servicePort }
  })
  const main = new URL('../bin/wxgate.js', import.meta.url).pathname
  // With a second command, so that the shell stays.
  const shell = spawn('sh', ['-c', `"${process.execPath}" "${main}" run -c "${file}"; exit 0`], {
    env: { ...PLAIN_ENV, npm_lifecycle_event: 'start' },
    stdio: 'ignore',
    detached: true
  })
  t.teardown(() => {
    try {
      process.kill(-(shell.pid ?? 0), 'SIGKILL')
    } catch {
      // All of them have ended.
    }
  })
  const url = `http://127.0.0.1:${port}/readyz`
  t.equal(await untilStatus(url, 200), 200)
  shell.kill('SIGTERM')
  t.equal(await untilStatus(url, 0), 0)
})

/** Variables that make a process signal itself as soon as it handles signals, long before it
 *  listens. */
function signalsEarly(folder: string, signal: string): Record<string, string> {
  const early = join(folder, 'early.mjs')
  writeFileSync(
    early,
    `const onListener = (name) => {
      if (name !== '${signal}' || process.env.NODE_UNIQUE_ID !== undefined) return
      process.off('newListener', onListener)
      setImmediate(() => process.kill(process.pid, '${signal}'))
    }
    process.on('newListener', onListener)`
  )
  return { NODE_OPTIONS: `--import=${early}` }
}

test('a port in use is exit 1 with a message that names the remedy', async (t) => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const refuse = async (listener: string, other: string) => {
    const { file } = writeConfig(t, {
      ...defaultConfig('http://127.0.0.1:9'),
      [listener]: { host: '127.0.0.1', port },
      [other]: { host: '127.0.0.1', port: await freePort() }
    })
    const gateway = startProcess(t, ['run', '-c', file])
    t.equal(await gateway.exited, 1, listener)
    t.match(
      gateway.output(),
      `127.0.0.1:${port} is in use. Stop what listens there, or change ${listener}.port in ${file}.`
    )
    t.notMatch(gateway.output(), /\n\s+at /, 'no stack')
  }
  await Promise.all([refuse('server', 'service'), refuse('service', 'server')])
})

test('a broken gateway.yaml is exit 2, and every problem is named with its place', async (t) => {
  const { folder, file } = writeConfig(t, {})
  writeFileSync(
    file,
    'version: 1\nserver: { prot: 80, drain: { delay: soon } }\nsecrets: [short]\napps: []\nupstreams:\n  a: { targets: [{ url: "ftp://x" }] }\nroutes:\n  - { path: api, upstream: b, auth: sometimes }\n'
  )
  const gateway = startProcess(t, ['run', '-c', file])
  t.equal(await gateway.exited, 2)
  for (const place of [
    'server.prot',
    'server.drain.delay',
    'secrets',
    'apps',
    'targets[0].url',
    'routes[0].path',
    'routes[0].upstream',
    'routes[0].auth'
  ])
    t.match(gateway.output(), place)
  t.match(gateway.output(), /gateway\.yaml:2:\d+ server\.prot/)
  t.match(gateway.output(), 'did you mean')
  const missing = await wxgate(['run', '-c', join(folder, 'nothing.yaml')])
  t.match(missing, { status: 2, stderr: /nothing\.yaml/ })
})

test('every command refuses an unknown flag, with a message and status 2', async (t) => {
  for (const command of commandNames) {
    const { status, stderr } = await wxgate([command, '--sort-of'])
    t.equal(status, 2, command)
    t.match(stderr, new RegExp(`^wxgate ${command}: .*'--sort-of'[^]*Usage: wxgate ${command}`))
  }
})
