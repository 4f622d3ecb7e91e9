/** The site made from docs/. */
import { join, resolve } from 'node:path'
import { chinese, english } from './languages.ts'
import { slugOf } from './slug.ts'
import { stageSite } from './stage.ts'
import { tokenize } from './tokenize.ts'

const STAGE = '.vitepress/cache/pages'

const docs = resolve(import.meta.dirname, '..')
const root = resolve(docs, '..')
const { sidebars } = stageSite(root, join(docs, STAGE))

export default {
  title: 'wxgate',
  srcDir: STAGE,
  /** The path below which the site is served. */
  base: process.env.DOCS_BASE ?? '/',
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: `${process.env.DOCS_BASE ?? '/'}icon.svg` }]],
  locales: {
    root: { ...english, themeConfig: { ...english.themeConfig, sidebar: sidebars.en } },
    zh: { ...chinese, themeConfig: { ...chinese.themeConfig, sidebar: sidebars.zh } }
  },
  markdown: {
    anchor: { slugify: slugOf },
    languageAlias: { caddyfile: 'nginx', haproxy: 'nginx' }
  },
  themeConfig: {
    search: {
      provider: 'local',
      options: {
        locales: { zh: chinese.search },
        miniSearch: { options: { tokenize } }
      }
    },
    outline: [2, 3]
  },
  vite: {
    // The index of the search has every word of one language.
    build: { chunkSizeWarningLimit: 1_000 },
    plugins: [
      {
        name: 'wxgate:stage',
        /** Shows a change of a source while `npm run dev` runs. */
        configureServer(server: Watching) {
          server.watcher.add(docs)
          server.watcher.on('change', (file) => {
            if (file.endsWith('.md') && !file.includes('.vitepress')) stageSite(root, join(docs, STAGE))
          })
        }
      }
    ]
  }
}

interface Watching {
  readonly watcher: { add(path: string): void; on(event: 'change', listener: (file: string) => void): void }
}
