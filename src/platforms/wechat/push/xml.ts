/** XML of message push: elements with text, no attributes of interest. */
import { SaxesParser } from 'saxes'

export type XmlValue = string | XmlElement | readonly (string | XmlElement)[]
export interface XmlElement {
  readonly [name: string]: XmlValue
}

/** Elements inside each other, the root included. WeChat sends four. */
const MAX_DEPTH = 16
const MAX_ELEMENTS = 10_000

interface Open {
  readonly children: Map<string, (string | XmlElement)[]>
  text: string
}

/** The content of the root element; null for text that is not well-formed, has a document type, is
 *  nested too deeply, or has too many elements. Entities other than the five of XML are an
 *  error. */
export function parseXml(text: string): XmlElement | null {
  const stack: Open[] = [open()]
  let elements = 0
  let isValid = true
  const fail = () => {
    isValid = false
  }
  const parser = new SaxesParser({ position: false })
  parser.on('error', fail)
  parser.on('doctype', fail)
  parser.on('opentag', () => {
    if (stack.length > MAX_DEPTH || ++elements > MAX_ELEMENTS) fail()
    if (isValid) stack.push(open())
  })
  const addText = (part: string) => {
    const current = stack.at(-1)
    if (current !== undefined) current.text += part
  }
  parser.on('text', addText)
  parser.on('cdata', addText)
  parser.on('closetag', ({ name }) => {
    const closed = isValid ? stack.pop() : undefined
    const parent = stack.at(-1)
    if (closed === undefined || parent === undefined) return
    const siblings = parent.children.get(name)
    const value = contentOf(closed)
    if (siblings === undefined) parent.children.set(name, [value])
    else siblings.push(value)
  })
  // In pieces: the rest of a text that was refused is not read.
  for (let at = 0; at < text.length && isValid; at += PIECE) parser.write(text.slice(at, at + PIECE))
  if (isValid) parser.close()
  const [root] = stack[0]?.children.values().next().value ?? []
  return isValid && typeof root === 'object' ? root : null
}

const PIECE = 16_384

const open = (): Open => ({ children: new Map(), text: '' })

function contentOf({ children, text }: Open): string | XmlElement {
  if (children.size === 0) return text
  const element: Record<string, XmlValue> = Object.create(null)
  for (const [name, values] of children) element[name] = values.length === 1 ? (values[0] ?? '') : values
  return element
}

/** An element with CDATA for text, as WeChat writes it. Leaves out what is nested too deeply. */
export function writeXml(root: string, content: Readonly<Record<string, unknown>>, depth = 1): string {
  const inner = Object.entries(content).map(([name, value]) => writeElement(name, value, depth + 1))
  return `<${root}>${inner.join('')}</${root}>`
}

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/

function writeElement(name: string, value: unknown, depth: number): string {
  if (!NAME.test(name) || value === null || value === undefined || depth > MAX_DEPTH) return ''
  if (Array.isArray(value)) return value.map((item) => writeElement(name, item, depth + 1)).join('')
  if (typeof value === 'object') return writeXml(name, value as Record<string, unknown>, depth)
  if (typeof value === 'number' || typeof value === 'boolean') return `<${name}>${value}</${name}>`
  return `<${name}><![CDATA[${String(value).replaceAll(']]>', ']]]]><![CDATA[>')}]]></${name}>`
}
