/** Pages of the site in the order of its sidebar. */
export type Language = 'en' | 'zh'

export interface PageGroup {
  readonly title: Readonly<Record<Language, string>>
  /** Addresses in the site, without the language. */
  readonly pages: readonly string[]
}

/** The folder of the decision records, which are one more group. */
export const DECISIONS = 'decisions'

export const groups: readonly PageGroup[] = [
  {
    title: { en: 'Start', zh: '开始' },
    pages: ['overview', 'sequences', 'sandbox', 'glossary']
  },
  {
    title: { en: 'A backend in five minutes', zh: '五分钟接入后端' },
    pages: ['start-node', 'start-spring', 'start-go', 'start-php', 'start-python']
  },
  {
    title: { en: 'Mini-program', zh: '小程序' },
    pages: ['miniprogram', 'miniprogram-taro', 'miniprogram-uniapp', 'errors', 'faq', 'channel']
  },
  {
    title: { en: 'Backend', zh: '后端' },
    pages: ['backends', 'login-hook', 'service-api', 'egress', 'push', 'pay', 'prefetch', 'sdks']
  },
  {
    title: { en: 'Gateway', zh: '网关' },
    pages: ['configuration', 'routes', 'upstreams', 'edge', 'forward-auth']
  },
  {
    title: { en: 'Operation', zh: '运维' },
    pages: ['operations', 'console', 'tracing', 'scaling', 'security', 'upgrades', 'changelog']
  },
  {
    title: { en: 'Moving here', zh: '迁移' },
    pages: ['migrate-cloudrun', 'migrate-wafer', 'migrate-express']
  },
  {
    title: { en: 'Project', zh: '项目' },
    pages: ['architecture', 'contributing', 'security-policy', 'benchmark', 'benchmark-workloads', 'benchmark-stores']
  }
]

/** Sources outside docs/, without the ending. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  overview: 'README',
  changelog: 'CHANGELOG',
  contributing: 'CONTRIBUTING',
  'security-policy': 'SECURITY',
  benchmark: 'bench/results',
  'benchmark-workloads': 'bench/workloads',
  'benchmark-stores': 'bench/store-results'
}

/** Names in the sidebar, where the heading of the page says too little. */
export const LABELS: Readonly<Record<string, Readonly<Record<Language, string>>>> = {
  overview: { en: 'Overview', zh: '概览' },
  'start-node': { en: 'Node', zh: 'Node' },
  'start-spring': { en: 'Spring Boot', zh: 'Spring Boot' },
  'start-go': { en: 'Go', zh: 'Go' },
  'start-php': { en: 'PHP', zh: 'PHP' },
  'start-python': { en: 'Python', zh: 'Python' },
  'miniprogram-taro': { en: 'Taro', zh: 'Taro' },
  'miniprogram-uniapp': { en: 'uni-app', zh: 'uni-app' },
  'security-policy': { en: 'Reporting a vulnerability', zh: '报告漏洞' },
  changelog: { en: 'Changelog', zh: '更新日志' },
  'benchmark-workloads': { en: 'Benchmark: workloads', zh: '基准：负载类型' },
  'benchmark-stores': { en: 'Benchmark: stores', zh: '基准：存储' }
}

/** The English source of a page, from the root of the repository. */
export function sourceOf(page: string): string {
  return `${ELSEWHERE[page] ?? `docs/${page}`}.md`
}

/** The Chinese source beside an English one. Some pages have none. */
export function twinOf(source: string): string {
  return source.replace(/\.md$/, '.zh-CN.md')
}
