// Runs tap with the arguments of the command line; without a file, on all tests in groups. Plain JavaScript, since the system's Node may run it.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeTestGroups } from './test-groups.js'

const UNWANTED = '@tapjs/typescript'

const shell = process.platform === 'win32'
const run = (args, env = process.env) => spawnSync('tap', args, { stdio: 'inherit', shell, env }).status ?? 1

// An installed tap is built with its default plugins and would run the first tests with them; this
// builds it for the plugins in .taprc.
const built = new URL('../node_modules/@tapjs/test/test-built/src/index.ts', import.meta.url)
const builtStatus = readFileSync(built, 'utf8').includes(UNWANTED) ? run(['build']) : 0

const preload = `--import=${new URL('test-preload.js', import.meta.url)}`
const NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} ${preload}`.trim()
const args = process.argv.slice(2)
const files = args.every((arg) => arg.startsWith('-')) ? writeTestGroups() : []
process.exitCode = builtStatus || run([...args, ...files], { ...process.env, NODE_OPTIONS })
