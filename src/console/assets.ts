/** The files of the page, from the folder beside this module. They are read at the first request
 *  and kept in memory, compressed. */
import { hash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, gzip } from 'node:zlib'

export interface Asset {
  readonly type: string
  readonly etag: string
  /** By value of Content-Encoding; `identity` is the file itself. */
  readonly bodies: Readonly<Record<'identity' | 'gzip' | 'br', Buffer>>
}

export interface Assets {
  /** @param name Path below the folder; null for none of its files. */
  find(name: string): Promise<Asset | null>
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.woff2': 'font/woff2'
}

const compress = { gzip: promisify(gzip), br: promisify(brotliCompress) }

/** @param folder URL with a final "/". */
export function createAssets(folder: URL): Assets {
  let names: Promise<ReadonlySet<string>> | null = null
  const known = new Map<string, Promise<Asset>>()

  /** A name outside of the list is never opened. */
  async function list(): Promise<ReadonlySet<string>> {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
    return new Set(entries.filter((entry) => entry.isFile()).map(({ name }) => name))
  }

  async function read(name: string): Promise<Asset> {
    const identity = await readFile(new URL(name, folder))
    const [zipped, br] = await Promise.all([compress.gzip(identity), compress.br(identity)])
    return {
      type: TYPES[extname(name)] ?? 'application/octet-stream',
      etag: `"${hash('sha256', identity, 'base64url').slice(0, 27)}"`,
      bodies: { identity, gzip: zipped, br }
    }
  }

  return {
    async find(name) {
      names ??= list()
      if (!(await names).has(name)) return null
      const asset = known.get(name) ?? read(name)
      known.set(name, asset)
      return asset
    }
  }
}
