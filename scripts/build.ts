/** Bundles src and the packages it uses into `dist`, the code of the npm package and of the image:
 *  a start reads a few files in place of 900. `node scripts/build.ts [FOLDER]`. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')

/** Packages in CommonJS load Node's own modules with it. */
const REQUIRE = `import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);`

/** Modules find files relative to src/ROOM: the shared code lies as deep in `folder`. */
export async function bundle(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true })
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { main: 'src/main.ts', 'code/sqlite-checkpoint-worker': 'src/store/sqlite-checkpoint-worker.ts' },
    outdir: folder,
    chunkNames: 'code/[name]-[hash]',
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: { js: REQUIRE },
    // One character outside of Latin-1 makes V8 keep two bytes for each of the file.
    charset: 'ascii',
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true
  })
  cpSync(join(root, 'src/console/assets'), join(folder, 'console/assets'), { recursive: true })
  writeFileSync(join(folder, 'LICENSES.txt'), licencesOf(packagesOf(Object.keys(metafile.inputs))))
}

/** Folders of the packages that hold these files. */
function packagesOf(files: readonly string[]): string[] {
  const folders = files.map((file) => /^.*\bnode_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0])
  return [...new Set(folders.filter((folder) => folder !== undefined))].sort()
}

/** The notices that licences ask for. */
export function licencesOf(folders: readonly string[]): string {
  const texts = folders.map((folder) => {
    const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Manifest
    const file = readdirSync(join(root, folder)).find((name) => /^licen[cs]e/i.test(name))
    const text = file === undefined ? `Licence: ${manifest.license}` : readFileSync(join(root, folder, file), 'utf8')
    return `${manifest.name} ${manifest.version}\n\n${text.trim()}\n`
  })
  return texts.join('\n')
}

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license: string
}

if (import.meta.main) await bundle(resolve(process.argv[2] ?? join(root, 'dist')))
