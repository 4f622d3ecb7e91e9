/** Draws a sequence diagram in Mermaid's notation as SVG, so that the site needs no script for it. Knows participants and
 *  messages; anything else is an error. */

interface Message {
  readonly from: number
  readonly to: number
  readonly text: string
  readonly isAnswer: boolean
}

interface Sequence {
  readonly names: readonly string[]
  readonly messages: readonly Message[]
}

const ROW = 40
const HEAD = 34
const PADDING = 12
const SELF_WIDTH = 28

/** @param title Read by screen readers. */
export function drawSequence(source: string, title: string): string {
  const sequence = parse(source)
  const centers = placeLifelines(sequence)
  const last = centers.length - 1
  const right = [nameWidth(sequence.names[last]) / 2, ...sequence.messages.map((message) => beyond(message, last))]
  const width = Math.ceil((centers[last] ?? 0) + Math.max(...right) + PADDING)
  const height = HEAD + ROW * (sequence.messages.length + 1)
  const parts = [
    ...sequence.names.flatMap((name, index) => drawLifeline(name, centers[index] ?? 0, height)),
    ...sequence.messages.flatMap((message, index) => drawMessage(message, centers, HEAD + ROW * (index + 1)))
  ]
  return `<div class="sequence" v-pre>
<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeHtml(title)}">
${parts.join('\n')}
</svg>
</div>`
}

function parse(source: string): Sequence {
  const ids: string[] = []
  const names: string[] = []
  const messages: Message[] = []
  const indexOf = (id: string) => {
    if (!ids.includes(id)) throw new Error(`there is no participant ${id}`)
    return ids.indexOf(id)
  }
  for (const line of source.split('\n').map((text) => text.trim())) {
    const participant = /^participant (\w+) as (.+)$/.exec(line)
    const message = /^(\w+)(--?)>>(\w+): (.+)$/.exec(line)
    if (participant) {
      const [, id = '', name = ''] = participant
      ids.push(id)
      names.push(name)
    } else if (message) {
      const [, from = '', dashes, to = '', text = ''] = message
      messages.push({ from: indexOf(from), to: indexOf(to), text, isAnswer: dashes === '--' })
    } else if (line !== '' && line !== 'sequenceDiagram') {
      throw new Error(`a sequence diagram has no line such as: ${line}`)
    }
  }
  return { names, messages }
}

/** Each message has room between its ends. */
function placeLifelines({ names, messages }: Sequence): number[] {
  const centers: number[] = []
  names.forEach((name, index) => {
    if (index === 0) {
      centers.push(nameWidth(name) / 2 + PADDING)
      return
    }
    const beside = (centers[index - 1] ?? 0) + (nameWidth(names[index - 1]) + nameWidth(name)) / 2 + PADDING
    const needed = messages.flatMap((message) => {
      const [left, right] = [Math.min(message.from, message.to), Math.max(message.from, message.to)]
      if (left === right) return left === index - 1 ? [(centers[left] ?? 0) + beyond(message, left)] : []
      return right === index ? [(centers[left] ?? 0) + textWidth(message.text) + 2 * PADDING] : []
    })
    centers.push(Math.max(beside, ...needed))
  })
  return centers
}

/** Room on the right of a lifeline for a message to itself. */
function beyond({ from, to, text }: Message, lifeline: number): number {
  return from === to && from === lifeline ? SELF_WIDTH + textWidth(text) + 2 * PADDING : 0
}

function drawLifeline(name: string, x: number, height: number): string[] {
  const width = nameWidth(name)
  return [
    `<line class="lifeline" x1="${x}" y1="${HEAD}" x2="${x}" y2="${height}" />`,
    `<rect x="${x - width / 2}" y="1" width="${width}" height="${HEAD - 2}" rx="6" />`,
    `<text class="name" x="${x}" y="22" text-anchor="middle">${escapeHtml(name)}</text>`
  ]
}

function drawMessage({ from, to, text, isAnswer }: Message, centers: readonly number[], y: number): string[] {
  const start = centers[from] ?? 0
  const end = centers[to] ?? 0
  const line = isAnswer ? 'answer' : 'call'
  if (from === to) {
    return [
      `<path class="${line}" d="M${start} ${y - 9}h${SELF_WIDTH}v14h${-SELF_WIDTH}" />`,
      `<path class="tip" d="M${start} ${y + 5}l8 -4v8z" />`,
      `<text x="${start + SELF_WIDTH + 8}" y="${y + 2}">${escapeHtml(text)}</text>`
    ]
  }
  const back = end > start ? -8 : 8
  return [
    `<line class="${line}" x1="${start}" y1="${y}" x2="${end}" y2="${y}" />`,
    `<path class="tip" d="M${end} ${y}l${back} -4v8z" />`,
    `<text x="${(start + end) / 2}" y="${y - 7}" text-anchor="middle">${escapeHtml(text)}</text>`
  ]
}

function nameWidth(name = ''): number {
  return textWidth(name) + 2 * PADDING
}

/** An estimate for 13 px: fonts differ, and the room is generous. */
function textWidth(text: string): number {
  return [...text].reduce((sum, character) => sum + (/[\u2e80-\uffef]/.test(character) ? 13 : 7.2), 0)
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
