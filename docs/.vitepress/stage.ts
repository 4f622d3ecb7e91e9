/** Lays the pages out as VitePress reads them: English at the root, Chinese below zh/. A page without a Chinese source is
 *  shown in English there too. */
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { DECISIONS, groups, LABELS, type Language, sourceOf, twinOf } from './pages.ts'
import { drawSequence } from './sequence.ts'

export interface SidebarGroup {
  readonly text: string
  readonly collapsed: boolean
  readonly items: readonly { readonly text: string; readonly link: string }[]
}

export interface Site {
  readonly sidebars: Readonly<Record<Language, readonly SidebarGroup[]>>
}

interface Source {
  /** Path from the root of the repository. */
  readonly path: string
  readonly page: string
  readonly language: Language
}

const LANGUAGES: readonly Language[] = ['en', 'zh']
const HOME = 'docs/.vitepress/home.md'
/** Folders that are served as they are. */
const PUBLIC = ['images', 'openapi']

/** @param root Of the repository.
 *  @param folder Receives the pages; what it holds is removed. */
export function stageSite(root: string, folder: string): Site {
  const decisions = globSync(`docs/${DECISIONS}/*.md`, { cwd: root })
    .filter((path) => !path.endsWith('.zh-CN.md'))
    .map((path) => `${DECISIONS}/${basename(path, '.md')}`)
    .sort()
  const all = [
    ...groups.map((group) => ({ ...group, collapsed: false })),
    { title: { en: 'Decisions', zh: '决策记录' }, pages: decisions, collapsed: true }
  ]
  const names = all.flatMap(({ pages }) => pages)
  refuseStrays(root, names)
  const sources = names.flatMap((page) => sourcesOf(root, page, sourceOf(page)))
  const byPath = new Map(sources.map((source) => [source.path, source]))

  rmSync(folder, { recursive: true, force: true })
  for (const name of PUBLIC) cpSync(join(root, 'docs', name), join(folder, 'public', name), { recursive: true })
  cpSync(join(root, 'src/console/assets/icon.svg'), join(folder, 'public/icon.svg'))
  const titles = new Map<string, string>()
  for (const source of [...sources, ...sourcesOf(root, 'index', HOME)]) {
    const text = readFileSync(join(root, source.path), 'utf8')
    const address = addressOf(source.page, source.language)
    titles.set(address, /^# (.+)$/m.exec(text)?.[1] ?? source.page)
    write(join(folder, `${address}.md`), toSitePage(text, source, { root, byPath }))
  }
  const sidebar = (language: Language) =>
    all.map(({ title, pages, collapsed }) => ({
      text: title[language],
      collapsed,
      items: pages.map((page) => {
        const address = addressOf(page, language)
        return { text: LABELS[page]?.[language] ?? titles.get(address) ?? page, link: address }
      })
    }))
  return { sidebars: { en: sidebar('en'), zh: sidebar('zh') } }
}

/** Both languages of a page; the Chinese one is the English source where it has no own. */
function sourcesOf(root: string, page: string, english: string): Source[] {
  const twin = twinOf(english)
  return LANGUAGES.map((language) => {
    const path = language === 'zh' && existsSync(join(root, twin)) ? twin : english
    return { path, page, language }
  })
}

/** A page that the sidebar does not name would be missing from the site. */
function refuseStrays(root: string, names: readonly string[]): void {
  const known = new Set(names.flatMap((page) => [sourceOf(page), twinOf(sourceOf(page))]))
  const strays = globSync('docs/*.md', { cwd: root }).filter((path) => !known.has(path.replaceAll('\\', '/')))
  if (strays.length > 0) throw new Error(`docs/.vitepress/pages.ts does not name ${strays.join(', ')}`)
}

function addressOf(page: string, language: Language): string {
  return language === 'zh' ? `/zh/${page}` : `/${page}`
}

interface Links {
  readonly root: string
  readonly byPath: ReadonlyMap<string, Source>
}

function toSitePage(text: string, source: Source, links: Links): string {
  return text
    .replace(/^(?:English · \[中文\]|\[English\]).*\n\n/m, '')
    .split(/(^```\w*\n[\s\S]*?^```$)/m)
    .map((part) => (part.startsWith('```') ? drawn(part, source) : withSiteLinks(part, source, links)))
    .join('')
}

function drawn(block: string, { path }: Source): string {
  const sequence = /^```mermaid\n([\s\S]*)^```$/m.exec(block)?.[1]
  return sequence === undefined ? block : drawSequence(sequence, basename(path, '.md'))
}

/** Links to pages and pictures become addresses of the site. A link to another file of the repository becomes its path. */
function withSiteLinks(text: string, source: Source, { root, byPath }: Links): string {
  return text.replaceAll(
    /(!?)\[((?:[^[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)/g,
    (link, mark: string, label: string, target: string) => {
      if (/^(?:[a-z]+:|#|\/)/.test(target)) return link
      const [path = '', anchor] = target.split('#')
      const file = relative(root, join(root, dirname(source.path), path)).replaceAll('\\', '/')
      const page = byPath.get(file)
      if (page) {
        const language = page.path.endsWith('.zh-CN.md')
          ? 'zh'
          : existsSync(join(root, twinOf(file)))
            ? 'en'
            : source.language
        return `[${label}](${addressOf(page.page, language)}.md${anchor === undefined ? '' : `#${anchor}`})`
      }
      if (!existsSync(join(root, file))) throw new Error(`${source.path}: ${target} does not exist`)
      const shared = PUBLIC.find((name) => file.startsWith(`docs/${name}/`))
      if (shared) return `${mark}[${label}](${file.slice('docs'.length)})`
      return label.includes(file) || label.includes(basename(file)) ? label : `${label} (\`${file}\`)`
    }
  )
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
