/** The language of the console: the browser's, or the one chosen before. */
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import { createFormat, type Format } from '../format.ts'
import { readStored, store } from '../storage.ts'
import { en, type Texts } from './en.ts'
import type { Language } from './language.ts'
import { zhCN } from './zh-cn.ts'

export interface Locale {
  readonly language: Language
  readonly text: Texts
  readonly format: Format
}

const KEY = 'wxgate.language'

export function preferredLanguage(): Language {
  const wanted = [readStored(KEY), ...navigator.languages]
  for (const tag of wanted) {
    if (tag?.startsWith('zh')) return 'zh-CN'
    if (tag?.startsWith('en')) return 'en'
  }
  return 'en'
}

export const rememberLanguage = (language: Language) => store(KEY, language)

export function createLocale(language: Language): Locale {
  return { language, text: language === 'en' ? en : zhCN, format: createFormat(language) }
}

export const LocaleContext = createContext<Locale>(createLocale('en'))

export const useLocale = (): Locale => useContext(LocaleContext)
