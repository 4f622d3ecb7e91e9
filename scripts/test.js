// Runs tap with the arguments of the command line; without a file, on all tests in groups. Plain
// JavaScript, since the system's Node may run it.
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { writeTestGroups } from './test-groups.js'

const UNWANTED = '@tapjs/typescript'
/** The package as npm would install it: the bundle, beside the files that it reads. Git does not
 *  know the folder. */
const PACKAGE = resolve('.cache/test-package')

const shell = process.platform === 'win32'
const run = (command, args, env = process.env) => spawnSync(command, args, { stdio: 'inherit', shell, env }).status ?? 1

// An installed tap is built with its default plugins and would run the first tests with them; this
// builds it for the plugins in .taprc.
const built = new URL('../node_modules/@tapjs/test/test-built/src/index.ts', import.meta.url)
const builtStatus = readFileSync(built, 'utf8').includes(UNWANTED) ? run('tap', ['build']) : 0

const preload = `--import=${new URL('test-preload.js', import.meta.url)}`
const NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} ${preload}`.trim()
const args = process.argv.slice(2)
process.exitCode = builtStatus || (args.every((arg) => arg.startsWith('-')) ? runAll() : runTap(args, {}))

/** Large pages for malloc on Linux: a process of tests takes memory quickly, and each small page
 *  costs a fault. */
function runTap(args, env) {
  return run('tap', args, { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1', ...process.env, ...env, NODE_OPTIONS })
}

/** Gateways in processes of their own run the bundle, whose start takes half the time. */
function runAll() {
  rmSync(PACKAGE, { recursive: true, force: true })
  const status = run('node', ['scripts/build.ts', join(PACKAGE, 'dist')])
  for (const name of ['config', 'package.json']) cpSync(name, join(PACKAGE, name), { recursive: true })
  return status || runTap([...args, ...writeTestGroups()], { WXGATE_TEST_PROGRAM: join(PACKAGE, 'dist/main.js') })
}
