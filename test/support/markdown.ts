/** Reads parts of the repository's documents for tests. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { slugOf } from '../../docs/.vitepress/slug.ts'

export const ROOT = join(import.meta.dirname, '../..')

export interface Block {
  /** The text after the opening fence. */
  readonly language: string
  readonly text: string
}

/** @param path From the root of the repository. */
export function readDocument(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

export function blocksOf(markdown: string, language?: string): Block[] {
  const blocks = [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, name = '', text = '']) => ({
    language: name,
    text
  }))
  return language === undefined ? blocks : blocks.filter((block) => block.language === language)
}

export function withoutBlocks(markdown: string): string {
  return markdown.replaceAll(/^ *```\w*\n[\s\S]*?^ *```$/gm, '')
}

/** Levels and texts in their order. */
export function headingsOf(markdown: string): { level: number; text: string }[] {
  return [...withoutBlocks(markdown).matchAll(/^(#+) (.*)$/gm)].map(([, marks = '', text = '']) => ({
    level: marks.length,
    text
  }))
}

/** Cells of every row except the head and the line under it, for the table whose head starts
 *  with `head`. */
export function tableOf(markdown: string, head: string): string[][] {
  const lines = markdown.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${head} |`))
  if (start < 0) throw new Error(`there is no table that begins with ${head}`)
  const rows: string[][] = []
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith('|')) break
    const cells = line.slice(1, -1).split(/(?<!\\)\|/)
    rows.push(cells.map((cell) => cell.trim().replaceAll('\\|', '|')))
  }
  return rows
}

/** Text between backticks. */
export function codesIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

/** Relative targets of links and pictures, with their anchors. */
export function linksOf(markdown: string): string[] {
  return [...withoutBlocks(markdown).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
}

/** The reason why a link has no target; null for a valid one. */
export function faultOfLink(document: string, link: string): string | null {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? document : join(dirname(document), path)
  if (!existsSync(join(ROOT, target))) return `${document}: ${link} does not exist`
  if (anchor === undefined || headingsOf(readDocument(target)).some(({ text }) => slugOf(text) === anchor)) return null
  return `${document}: ${link} has no such heading`
}
