/** Chinese texts of English ones that stand in the sources. */
import { globSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'

/** A text in both languages. */
export interface Translation {
  /** The English text that the Chinese one translates. */
  readonly en: string
  readonly zh: string
}

/** @param pattern Of YAML files, from the root. Each maps names to translations. */
export function readTranslations(root: URL, pattern: string): ReadonlyMap<string, Translation> {
  return new Map(
    globSync(pattern, { cwd: root }).flatMap((name) =>
      Object.entries(parse(readFileSync(new URL(name, root), 'utf8')) as Record<string, Translation>)
    )
  )
}

/** @param english Every English text, by name.
 *  @returns A sentence for each name without a Chinese text, for each Chinese text of another
 *  English text than today's, and for each Chinese text of an unknown name. */
export function translationFaults(
  english: ReadonlyMap<string, string>,
  translations: ReadonlyMap<string, Translation>
): string[] {
  const faults = [...english].flatMap(([name, text]) => {
    const translation = translations.get(name)
    if (translation === undefined || translation.zh === '') return [`${name} has no Chinese text`]
    if (translation.en === text) return []
    return [`${name}: the Chinese text translates "${translation.en}", the English one is now "${text}"`]
  })
  const unused = [...translations.keys()].filter((name) => !english.has(name))
  return [...faults, ...unused.map((name) => `${name} has a Chinese text and no English one`)]
}
