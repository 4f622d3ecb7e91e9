/** Bundles the web console of src/console/app into src/console/assets, which is in the repository,
 *  so that the product needs no bundler. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const sources = join(root, 'src/console/app')
const COPIED = ['index.html', 'icon.svg']
/** Packages whose code is in the bundle. Their licences ask for the notice. */
const BUNDLED = ['preact', 'uplot']

/** @returns The files of the console by name. The same sources give the same bytes. */
export async function bundleConsole(): Promise<Map<string, Buffer>> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: { app: join(sources, 'main.tsx') },
    outdir: join(root, 'src/console/assets'),
    tsconfig: join(sources, 'tsconfig.json'),
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: ['chrome111', 'firefox115', 'safari16.4'],
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning'
  })
  const files = new Map<string, Buffer>(
    outputFiles.map(({ path, contents }) => [path.slice(path.lastIndexOf('/') + 1), Buffer.from(contents)])
  )
  for (const name of COPIED) files.set(name, await readFile(join(sources, name)))
  files.set('LICENSES.txt', await licences())
  return files
}

async function licences(): Promise<Buffer> {
  const texts = await Promise.all(
    BUNDLED.map(async (name) => {
      const folder = join(root, 'node_modules', name)
      const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }
      return `${name} ${version}\n\n${(await readFile(join(folder, 'LICENSE'), 'utf8')).trim()}\n`
    })
  )
  return Buffer.from(texts.join('\n'))
}

if (import.meta.main) {
  const assets = join(root, 'src/console/assets')
  const files = await bundleConsole()
  await rm(assets, { recursive: true, force: true })
  await mkdir(assets, { recursive: true })
  for (const [name, content] of files) await writeFile(join(assets, name), content)
}
