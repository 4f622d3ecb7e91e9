/** The code of the pages about Taro and uni-app, by the file that its first comment names. */
import { transformSync } from 'esbuild'
import { blocksOf } from './markdown.ts'

/** The files, as they stand on the page; of a .vue file its script. */
export function filesOf(page: string): Map<string, string> {
  const blocks = blocksOf(page).filter(({ language }) => language === 'ts' || language === 'vue')
  const texts = blocks.map(({ text, language }) =>
    language === 'vue' ? (/<script>\n([\s\S]*)<\/script>/.exec(text)?.[1] ?? '') : text
  )
  return new Map(texts.map((text) => [/^\/\/ (src\/[\w.-]+)\n/.exec(text)?.[1] ?? '', text]))
}

/** The files as the modules of a mini-program that a bundler makes of them. */
export function modulesOf(page: string): Record<string, string> {
  const compiled = [...filesOf(page)].map(([path, text]) => [
    path.replace(/\.\w+$/, '.js'),
    transformSync(text, { loader: 'ts', format: 'cjs', target: 'es2018' }).code
  ])
  return Object.fromEntries(compiled)
}
