import { test } from 'tap'
import { run, startSandbox } from '../src/cli/sandbox.ts'
import { until } from './support/until.ts'

function recordingIo() {
  const written = { stdout: '', stderr: '' }
  const io = {
    stdout(text: string) {
      written.stdout += text
    },
    stderr(text: string) {
      written.stderr += text
    },
    env: {},
    cwd: '/'
  }
  return { io, written }
}

test('wxgate sandbox prints its address, with a call that works, and ends with 0 on a signal', async (t) => {
  const { io, written } = recordingIo()
  const stop = new AbortController()
  const ended = run(['--port', '0'], io, stop.signal)
  await until(() => written.stdout !== '')
  const sample = /curl '([^']+)'/.exec(written.stdout)?.[1]
  const response = await fetch(sample ?? '')
  t.match(await response.json(), { openid: String, session_key: String })
  for (const call of ['push', 'pay/merchants', 'pay/notices', 'user-keys', 'api-signature'])
    t.match(written.stdout, new RegExp(`curl '[^']+/sandbox/${call}' -d '\\{`), call)
  const [, address = '', body = ''] = /curl '([^']+\/user-keys)' -d '([^']+)'/.exec(written.stdout) ?? []
  t.match(await (await fetch(address, { method: 'POST', body })).json(), { encryptKey: String, version: Number })
  stop.abort()
  t.equal(await ended, 0)
  await t.rejects(fetch(sample ?? ''))
})

test('--app names the only mini-programs, and their secrets are not printed', async (t) => {
  const { io, written } = recordingIo()
  const started = await startSandbox(['--port', '0', '--app', 'wx-a:canary', '--app', 'wx-b:canary'], io)
  if (typeof started === 'number') throw new Error('not started')
  t.teardown(() => started.close())
  const call = async (appid: string, secret: string) => {
    const query = `appid=${appid}&secret=${secret}&js_code=sandbox-alice&grant_type=authorization_code`
    return (await fetch(`${started.url}/sns/jscode2session?${query}`)).json()
  }
  t.match(await call('wx-b', 'canary'), { openid: String })
  t.match(await call('wx-b', 'x'), { errcode: 40125 })
  t.match(await call('wx-c', 'canary'), { errcode: 40013 })
  t.notMatch(written.stdout, /canary/)
})

test('a wrong command line ends with 2, a port in use with 1', async (t) => {
  for (const args of [
    ['--port', 'x'],
    ['--port', '99999'],
    ['--latency', '-1'],
    ['--app', 'wx'],
    ['--nonsense'],
    ['x']
  ]) {
    const { io, written } = recordingIo()
    t.equal(await run(args, io), 2, args.join(' '))
    t.match(written.stderr, /wxgate sandbox: /)
  }
  const { io, written } = recordingIo()
  const first = await startSandbox(['--port', '0'], io)
  if (typeof first === 'number') throw new Error('not started')
  t.teardown(() => first.close())
  t.equal(await run(['--port', new URL(first.url).port], io), 1)
  t.match(written.stderr, /cannot listen/)
  t.equal(await run(['--help'], io), 0)
})
