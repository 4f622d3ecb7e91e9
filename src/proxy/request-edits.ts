/** Changes of a route and its upstream to the headers of a request, prepared once per route. */
import type { HeaderEdits, UpstreamConfig } from '../config/config.ts'
import { canonicalName } from '../http/headers/header-names.ts'

export interface RequestEdits {
  /** Canonical names: no spelling of them goes upstream. */
  readonly unwanted: ReadonlySet<string>
  /** Name and value in turns. */
  readonly added: readonly string[]
}

/** Null: the client's headers go upstream unchanged. */
export function createRequestEdits(
  { set, remove }: HeaderEdits,
  { headers }: Pick<UpstreamConfig, 'headers'>
): RequestEdits | null {
  const added = [...Object.entries(set), ...Object.entries(headers)]
  if (added.length === 0 && remove.length === 0) return null
  return {
    unwanted: new Set([...remove, ...added.map(([name]) => name)].map(canonicalName)),
    added: added.flat()
  }
}

/** @param kept Name and value in turns. */
export function editHeaders(kept: readonly string[], { unwanted, added }: RequestEdits): string[] {
  const headers: string[] = []
  for (let index = 0; index + 1 < kept.length; index += 2) {
    const name = kept[index] as string
    if (!unwanted.has(canonicalName(name))) headers.push(name, kept[index + 1] as string)
  }
  for (const part of added) headers.push(part)
  return headers
}
