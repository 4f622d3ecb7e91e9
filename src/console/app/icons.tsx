/** Line icons of 16 px. They are decoration: each stands beside its text. */
import type { Page } from './router.ts'

const PATHS: Readonly<Record<Page | 'menu' | 'out' | 'search', string>> = {
  overview: 'M2 13.5V8.5M6 13.5V4.5M10 13.5V7M14 13.5V2.5',
  routes: 'M3 3.5h4.5a3 3 0 0 1 3 3v3a3 3 0 0 0 3 3M11 10l2.5 2.5L11 15M3 12.5h3',
  upstreams: 'M2.5 3h11v4h-11zM2.5 9.5h11v4h-11zM5 5h.01M5 11.5h.01',
  apps: 'M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 9h4v4H9z',
  users: 'M8 8a2.75 2.75 0 1 0 0-5.5A2.75 2.75 0 0 0 8 8ZM2.5 14a5.5 5.5 0 0 1 11 0',
  recent: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.8V8.4M8 11h.01',
  queues: 'M2.5 4h11M2.5 8h11M2.5 12h6',
  configuration: 'M3 2.5h7l3 3v8H3zM5.5 7.5h5M5.5 10.5h5',
  certificates: 'M8 9.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM5.8 8.8 5 14l3-1.8L11 14l-.8-5.2',
  try: 'M4.5 2.8v10.4L13 8Z',
  menu: 'M2.5 4h11M2.5 8h11M2.5 12h11',
  out: 'M6.5 2.5h-3v11h3M7 8h7M11 5l3 3-3 3',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.5 10.5l3.5 3.5'
}

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg
      width="16"
      height="16"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  )
}

export function Logo() {
  return <img src="icon.svg" width="26" height="26" alt="" />
}
