/** Reads the files of the machine that control name resolution. */

/** Addresses by name, as in /etc/hosts. */
export function readHosts(text: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address, ...names] = fieldsOf(line)
    if (address === undefined) continue
    for (const name of names) {
      const key = name.toLowerCase()
      hosts.set(key, [...(hosts.get(key) ?? []), address])
    }
  }
  return hosts
}

export interface SearchRules {
  /** Domains appended to a name. */
  readonly search: readonly string[]
  /** A name with at least this many dots is first tried unchanged. */
  readonly ndots: number
}

/** `search`, `domain` and `options ndots` of /etc/resolv.conf. */
export function readSearchRules(text: string): SearchRules {
  let search: string[] = []
  let ndots = 1
  for (const line of text.split('\n')) {
    const [keyword, ...values] = fieldsOf(line.split(';', 1)[0] ?? '')
    if (keyword === 'search' || keyword === 'domain') search = values
    if (keyword !== 'options') continue
    for (const value of values) if (/^ndots:\d{1,2}$/.test(value)) ndots = Number(value.slice('ndots:'.length))
  }
  return { search: search.map((domain) => domain.replace(/\.$/, '')).filter((domain) => domain !== ''), ndots }
}

/** The full names to try for a name, in the order of resolv.conf(5). */
export function candidatesOf(name: string, { search, ndots }: SearchRules): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)]
  const within = search.map((domain) => `${name}.${domain}`)
  return name.split('.').length - 1 >= ndots ? [name, ...within] : [...within, name]
}

function fieldsOf(line: string): string[] {
  return (line.split('#', 1)[0] ?? '').split(/\s+/).filter((field) => field !== '')
}
