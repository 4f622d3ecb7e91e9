/** Values of JSON as YAML, for reading. */

export function toYaml(value: unknown, indent = ''): string {
  if (Array.isArray(value)) return value.map((item) => entry(`${indent}-`, item, indent)).join('\n')
  if (!isRecord(value)) return `${indent}${scalar(value)}`
  return Object.entries(value)
    .map(([key, item]) => entry(`${indent}${scalar(key)}:`, item, indent))
    .join('\n')
}

function entry(head: string, value: unknown, indent: string): string {
  const isEmpty = Array.isArray(value) ? value.length === 0 : isRecord(value) && Object.keys(value).length === 0
  if (isEmpty) return `${head} ${Array.isArray(value) ? '[]' : '{}'}`
  if (!Array.isArray(value) && !isRecord(value)) return `${head} ${scalar(value)}`
  const text = toYaml(value, `${indent}  `)
  // The first key of a mapping in a list stands beside its dash.
  return head.endsWith('-') && isRecord(value) ? `${head} ${text.trimStart()}` : `${head}\n${text}`
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A text that YAML would read as another type, or that has a special character, is quoted. */
function scalar(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  const isPlain = /^[A-Za-z/][\w./@*-]*(:[\w./@*-]+)*$/.test(value) && !/^(true|false|null|yes|no|on|off)$/i.test(value)
  return isPlain ? value : JSON.stringify(value)
}
