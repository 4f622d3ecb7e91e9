/** Selectors and labels of PromQL, as far as the queries under deploy/ use them, against series in
 *  the text exposition format. */

export interface Selector {
  readonly metric: string
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[]
}

export type Series = Readonly<Record<string, string>>

/** Words of PromQL that stand where a metric could. */
const WORDS = new Set(['and', 'or', 'unless', 'by', 'without', 'on', 'ignoring', 'le', 'job', 'instance'])
/** Labels that Prometheus adds. */
const ADDED = new Set(['job', 'instance'])

/** Metrics are recognised by their prefix. */
export function selectorsOf(query: string): Selector[] {
  const found = query.matchAll(/\b((?:wxgate|process|nodejs)_\w+|up)\b(?:\{([^}]*)\})?/g)
  return [...found]
    .filter(([, metric = '']) => !WORDS.has(metric))
    .map(([, metric = '', labels = '']) => ({
      metric,
      matchers: [...labels.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(
        ([, label = '', operator = '', value = '']) => ({
          label,
          operator,
          value
        })
      )
    }))
}

/** Labels that the query groups by. */
export function groupsOf(query: string): string[] {
  return [...query.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, labels = '']) =>
    labels.split(',').map((one) => one.trim())
  )
}

/** Series by the name of their metric, each with its labels. */
export function readSeries(text: string): Map<string, Series[]> {
  const metrics = new Map<string, Series[]>()
  for (const [, name = '', labels = ''] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const series = Object.fromEntries(
      [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, value]) => [key, value])
    )
    metrics.set(name, [...(metrics.get(name) ?? []), series])
  }
  return metrics
}

/** The reasons why the query can find nothing: unknown metrics, labels and values. */
export function faultsOf(query: string, metrics: ReadonlyMap<string, readonly Series[]>): string[] {
  const selectors = selectorsOf(query)
  const faults = selectors.flatMap(({ metric, matchers }) => {
    const series = metrics.get(metric)
    if (series === undefined) return [`no metric ${metric}`]
    return matchers
      .filter(({ label }) => !ADDED.has(label))
      .flatMap(({ label, operator, value }) => {
        const values = series.flatMap((one) => one[label] ?? [])
        if (values.length === 0) return [`${metric} has no label ${label}`]
        if (operator.startsWith('!')) return []
        const wanted = operator === '=~' ? value.split('|') : [value]
        const isThere = (one: string) => values.some((known) => new RegExp(`^(?:${one})$`).test(known))
        return wanted.filter((one) => !isThere(one)).map((one) => `${metric} has no ${label} ${one}`)
      })
  })
  const labels = new Set(selectors.flatMap(({ metric }) => (metrics.get(metric) ?? []).flatMap(Object.keys)))
  const unknown = groupsOf(query).filter((label) => !labels.has(label) && !ADDED.has(label))
  return [
    ...faults,
    ...unknown.map((label) => `no label ${label} in ${query}`),
    ...(selectors.length ? [] : ['no metric'])
  ]
}
