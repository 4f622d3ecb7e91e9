/** The types of the mini-program client, beside those of WeChat, Taro and uni-app. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import ts from 'typescript'
import { filesOf } from './support/framework-pages.ts'
import { ROOT, readDocument } from './support/markdown.ts'

const samples = join(import.meta.dirname, 'support/fixtures/client-types')

const STRICT: ts.CompilerOptions = {
  noEmit: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: true,
  types: [],
  target: ts.ScriptTarget.ES2018,
  lib: ['lib.es2018.d.ts'],
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler
}

/** Files read by several compilations are parsed once. */
const host = ts.createCompilerHost(STRICT)
const parsed = new Map<string, ts.SourceFile | undefined>()
const { getSourceFile } = host
host.getSourceFile = (name, ...rest) => {
  if (!parsed.has(name)) parsed.set(name, getSourceFile(name, ...rest))
  return parsed.get(name)
}

/** Compiles files together. Returns the lines with mistakes and their messages. */
function compile(files: readonly string[], options: ts.CompilerOptions = {}): { line: number; message: string }[] {
  const program = ts.createProgram(files, { ...STRICT, ...options }, host)
  return ts.getPreEmitDiagnostics(program).map(({ file: source, start = 0, messageText }) => ({
    line: (source?.getLineAndCharacterOfPosition(start).line ?? -1) + 1,
    message: ts.flattenDiagnosticMessageText(messageText, '\n')
  }))
}

for (const version of [3, 4, 5]) {
  test(`createClient takes the wx of miniprogram-api-typings ${version} in strict mode`, async (t) => {
    t.same(compile([join(samples, 'wx.ts')], { types: [`miniprogram-api-typings-${version}`] }), [])
  })
}

test('createClient takes Taro and uni in strict mode', async (t) => {
  t.same(compile([join(samples, 'taro.ts')]), [])
  t.same(compile([join(samples, 'uni.ts')], { types: ['@dcloudio/types'] }), [])
})

for (const [page, types] of [
  ['docs/miniprogram-taro.md', []],
  ['docs/miniprogram-uniapp.md', ['@dcloudio/types']]
] as const) {
  test(`the code of ${page} compiles in strict mode`, async (t) => {
    mkdirSync(join(ROOT, '.cache'), { recursive: true })
    const folder = mkdtempSync(join(ROOT, '.cache/client-page-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    mkdirSync(join(folder, 'src'))
    const files = [...filesOf(readDocument(page))].filter(([path]) => path.endsWith('.ts'))
    for (const [path, text] of files) writeFileSync(join(folder, path), text)
    t.ok(files.length >= 3)
    const paths = { 'wxgate-miniprogram': [join(ROOT, 'miniprogram/miniprogram_dist/index.d.ts')] }
    const roots = files.map(([path]) => join(folder, path))
    t.same(compile(roots, { types: [...types], paths }), [])
  })
}

test('the types of the client find mistakes', async (t) => {
  const lines = readFileSync(join(samples, 'mistakes.ts'), 'utf8').split('\n')
  const expected = lines.flatMap((line, index) => (line.startsWith('// mistake:') ? [index + 2] : []))
  const found = compile([join(samples, 'mistakes.ts')], { skipLibCheck: false }).map(({ line }) => line)
  t.ok(expected.length >= 5)
  t.strictSame(found, expected)
})
