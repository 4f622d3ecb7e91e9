/** Parsed YAML of the files under deploy/. */

export type Tree = Readonly<Record<string, unknown>>

/** A part of parsed YAML by its path; undefined when it does not exist. */
export function at(tree: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (part, step) =>
      typeof part === 'object' && part !== null ? (part as Record<string | number, unknown>)[step] : undefined,
    tree
  )
}
