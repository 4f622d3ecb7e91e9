// Runs before tap. tap comes built with its default plugins and would start the first tests after an install with them:
// builds it for the plugins that .taprc names. Plain JavaScript: it may run on the system's Node.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const UNWANTED = '@tapjs/typescript'

const built = new URL('../node_modules/@tapjs/test/test-built/src/index.ts', import.meta.url)
if (readFileSync(built, 'utf8').includes(UNWANTED)) {
  const { status } = spawnSync('tap', ['build'], { stdio: 'inherit', shell: process.platform === 'win32' })
  process.exitCode = status ?? 1
}
