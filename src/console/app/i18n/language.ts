/** Tags of the languages of the console. */
export type Language = 'en' | 'zh-CN'
