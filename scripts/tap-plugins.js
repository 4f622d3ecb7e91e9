// Runs before tap. An installed tap is built with its default plugins and would run the first tests
// with them; this builds it for the plugins in .taprc. Plain JavaScript, since the system's Node
// may run it.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const UNWANTED = '@tapjs/typescript'

const built = new URL('../node_modules/@tapjs/test/test-built/src/index.ts', import.meta.url)
if (readFileSync(built, 'utf8').includes(UNWANTED)) {
  const { status } = spawnSync('tap', ['build'], { stdio: 'inherit', shell: process.platform === 'win32' })
  process.exitCode = status ?? 1
}
