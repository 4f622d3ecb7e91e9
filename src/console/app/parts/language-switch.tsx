/** Switches between the languages of the console. */
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { Language } from '../i18n/language.ts'
import { useLocale } from '../i18n/locale.ts'

const NAMES: Readonly<Record<Language, string>> = { en: 'English', 'zh-CN': '中文' }
const LANGUAGES = ['zh-CN', 'en'] as const

export const LanguageContext = createContext<(language: Language) => void>(() => {})

export function LanguageSwitch() {
  const { language } = useLocale()
  const choose = useContext(LanguageContext)
  return (
    <fieldset class="choice">
      <legend class="hidden">语言 · Language</legend>
      {LANGUAGES.map((name) => (
        <button key={name} type="button" lang={name} aria-pressed={name === language} onClick={() => choose(name)}>
          {NAMES[name]}
        </button>
      ))}
    </fieldset>
  )
}
