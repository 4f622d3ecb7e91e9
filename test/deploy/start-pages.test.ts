/** The five-minute pages: their backends run behind a gateway, as the pages say. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { buildTestGateway } from '../support/gateway.ts'
import { blocksOf, readDocument } from '../support/markdown.ts'
import { freePort } from '../support/process.ts'
import { findProgram, startProgram } from '../support/programs.ts'
import { createFolder } from '../support/proxies.ts'

/** Of each page: the language of its code, and the program that its command starts. */
const RUN: Readonly<Record<string, { readonly language: string; readonly program: string }>> = {
  node: { language: 'js', program: 'node' },
  php: { language: 'php', program: 'php' },
  python: { language: 'python', program: 'gunicorn' }
}

/** Code and command of a page, with another port. */
function readPage(name: string, language: string, port: number) {
  const page = readDocument(`docs/start-${name}.md`)
  const [, file = ''] = /^`(hello\.\w+)`/m.exec(page) ?? []
  const code = blocksOf(page, language)[0]?.text ?? ''
  const command = blocksOf(page, 'sh')[0]?.text.trim() ?? ''
  return {
    file,
    code: code.replaceAll('3000', String(port)),
    args: command.replaceAll('3000', String(port)).split(' ').slice(1)
  }
}

async function expectCaller(t: Test, port: number): Promise<void> {
  const gateway = await buildTestGateway(t, `http://127.0.0.1:${port}`)
  const { access_token: token } = await gateway.login('alice')
  const answer = await gateway.call('/api/hello', { token, headers: { 'X-OpenId': 'oForged' } })
  t.equal(answer.status, 200)
  t.match(await answer.json(), { caller: /^o(?!Forged)[\w-]{20,}$/ })
  t.equal((await gateway.call('/api/hello', { headers: { 'X-OpenId': 'oForged' } })).status, 401)
  t.equal((await fetch(`http://127.0.0.1:${port}/api/hello`)).status, 401, 'without a caller the code itself refuses')
}

for (const [name, { language, program }] of Object.entries(RUN)) {
  test(`the page for ${name}: its code, started by its command, reads the caller`, async (t) => {
    const file = program === 'node' ? process.execPath : findProgram(t, program)
    if (file === null) return
    const port = await freePort()
    const page = readPage(name, language, port)
    const folder = createFolder(t)
    writeFileSync(join(folder, page.file), page.code)
    await startProgram(t, file, page.args, port, folder)
    await expectCaller(t, port)
  })
}
