/** wxgate validate, schema and keygen as commands. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { wxgate } from './support/cli.ts'
import { configText } from './support/config.ts'

const good = configText()
const bad = configText({ routes: '[{ path: /a, upstream: odrers }]' })
const dubious = configText({}, 'service: { host: 0.0.0.0 }')

function folder(t: Test, content: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), 'wxgate-validate-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  for (const [name, text] of Object.entries(content)) writeFileSync(join(path, name), text)
  return path
}

test('validate reports a valid file as valid, and creates nothing', async (t) => {
  const cwd = folder(t, { 'gateway.yaml': configText({ secrets: '[generated]' }) })
  t.same(await wxgate(['validate'], { cwd }), { status: 0, stdout: 'gateway.yaml is valid\n', stderr: '' })
  t.same(readdirSync(cwd), ['gateway.yaml'])
})

test('validate lists problems with their places and exits 2', async (t) => {
  const cwd = folder(t, { 'gateway.yaml': bad })
  t.same(await wxgate(['validate'], { cwd }), {
    status: 2,
    stdout: '',
    stderr:
      'gateway.yaml:4:32 routes[0].upstream: there is no upstream "odrers" (did you mean "orders"?)\n' +
      'gateway.yaml is not valid: 1 error, 0 warnings\n'
  })
})

test('a flag takes precedence over WXGATE_CONFIG, and that over gateway.yaml', async (t) => {
  const cwd = folder(t, { 'gateway.yaml': bad, 'b.yaml': good })
  t.match(await wxgate(['validate'], { cwd, env: { WXGATE_CONFIG: 'b.yaml' } }), {
    status: 0,
    stdout: 'b.yaml is valid\n'
  })
  t.match(await wxgate(['validate', '-c', 'gateway.yaml'], { cwd, env: { WXGATE_CONFIG: 'b.yaml' } }), { status: 2 })
  t.match(await wxgate(['validate', '--config', join(cwd, 'b.yaml')]), { status: 0 })
})

test('warnings are errors with --strict', async (t) => {
  const cwd = folder(t, { 'gateway.yaml': dubious })
  t.match(await wxgate(['validate'], { cwd }), {
    status: 0,
    stdout: 'gateway.yaml is valid, with 1 warning\n',
    stderr: /service\.host: .* \[warning\]\n$/
  })
  t.match(await wxgate(['validate', '--strict'], { cwd }), {
    status: 2,
    stdout: '',
    stderr: /not valid: 0 errors, 1 warning/
  })
})

test('validate prints JSON', async (t) => {
  const cwd = folder(t, { 'gateway.yaml': bad })
  const { status, stdout } = await wxgate(['validate', '--format', 'json'], { cwd })
  t.equal(status, 2)
  t.same(JSON.parse(stdout), {
    valid: false,
    problems: [
      {
        severity: 'error',
        file: 'gateway.yaml',
        line: 4,
        column: 32,
        path: 'routes[0].upstream',
        message: 'there is no upstream "odrers"',
        hint: 'did you mean "orders"?'
      }
    ]
  })
})

test('production allows by name, on the command line or in WXGATE_ALLOW', async (t) => {
  const cwd = folder(t, { 'gateway.yaml': configText({}, 'store: memory') })
  const env = { NODE_ENV: 'production' }
  t.match(await wxgate(['validate'], { cwd, env }), {
    status: 2,
    stderr: /--allow memory-store or WXGATE_ALLOW=memory-store/
  })
  t.match(await wxgate(['validate', '--allow', 'sandbox,memory-store'], { cwd, env }), { status: 0 })
  t.match(await wxgate(['validate'], { cwd, env: { ...env, WXGATE_ALLOW: 'memory-store' } }), { status: 0 })
  t.match(await wxgate(['validate', '--allow', 'sandbox'], { cwd, env: { ...env, WXGATE_ALLOW: 'memory-store' } }), {
    status: 2
  })
  t.match(await wxgate(['validate', '--allow', 'memroy-store'], { cwd }), {
    status: 2,
    stderr: /did you mean "memory-store"/
  })
})

test('a wrong command line exits 2 and shows the usage', async (t) => {
  for (const args of [['--nope'], ['--format', 'xml'], ['extra'], ['-c']]) {
    t.match(
      await wxgate(['validate', ...args]),
      { status: 2, stdout: '', stderr: /Usage: wxgate validate/ },
      args.join(' ')
    )
  }
  t.match(await wxgate(['schema', '--nope']), { status: 2, stderr: /Usage: wxgate schema/ })
  t.match(await wxgate(['keygen', 'nope']), { status: 2, stderr: /Usage: wxgate keygen/ })
  t.match(await wxgate(['validate', '--help']), { status: 0, stdout: /Usage: wxgate validate/ })
})

test('a missing file is one problem', async (t) => {
  const says =
    /^gateway\.yaml:1:1 the file cannot be read: there is no such file \(looked for \/\S+\/gateway\.yaml: .* -c FILE or WXGATE_CONFIG, .* wxgate init\)\n/
  for (const command of ['validate', 'run', 'doctor'])
    t.match(await wxgate([command]), { status: 2, stderr: says }, command)
})

test('schema prints the published schema', async (t) => {
  const { status, stdout } = await wxgate(['schema'])
  t.equal(status, 0)
  t.equal(stdout, readFileSync(new URL('../config/gateway.schema.json', import.meta.url), 'utf8'))
})

test('keygen prints 32 new random bytes', async (t) => {
  const [a, b] = [await wxgate(['keygen']), await wxgate(['keygen'])]
  t.equal(Buffer.from(a.stdout.trim(), 'base64').length, 32)
  t.not(a.stdout, b.stdout)
})
