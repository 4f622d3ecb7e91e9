/** Pages are named by the fragment of the address, so that the server has one document. */
import { useEffect, useState } from 'preact/hooks'

export const PAGES = [
  'overview',
  'routes',
  'upstreams',
  'apps',
  'users',
  'recent',
  'queues',
  'configuration',
  'certificates',
  'try'
] as const
export type Page = (typeof PAGES)[number]

export interface Place {
  readonly page: Page
  readonly query: URLSearchParams
}

export type PageProps = Pick<Place, 'query'>

export const hrefOf = (page: Page, query: Readonly<Record<string, string>> = {}) => {
  const search = new URLSearchParams(query).toString()
  return `#/${page}${search === '' ? '' : `?${search}`}`
}

export function readPlace(fragment: string): Place {
  const [path = '', search = ''] = fragment.replace(/^#\/?/, '').split('?')
  return { page: PAGES.find((page) => page === path) ?? 'overview', query: new URLSearchParams(search) }
}

export function usePlace(): Place {
  const [place, setPlace] = useState(() => readPlace(location.hash))
  useEffect(() => {
    // Other fragments name a place within the page.
    const read = () => location.hash.startsWith('#/') && setPlace(readPlace(location.hash))
    addEventListener('hashchange', read)
    return () => removeEventListener('hashchange', read)
  }, [])
  return place
}
