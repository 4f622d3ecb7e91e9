/** The content of every page. */
import type { FunctionComponent } from 'preact'
import type { Page, PageProps } from '../router.ts'
import { Apps } from './apps.tsx'
import { Certificates } from './certificates.tsx'
import { Configuration } from './configuration.tsx'
import { Overview } from './overview.tsx'
import { Queues } from './queues.tsx'
import { Recent } from './recent.tsx'
import { Routes } from './routes.tsx'
import { TryIt } from './try-it.tsx'
import { Upstreams } from './upstreams.tsx'
import { Users } from './users.tsx'

export const PAGE_CONTENT: Readonly<Record<Page, FunctionComponent<PageProps>>> = {
  overview: Overview,
  routes: Routes,
  upstreams: Upstreams,
  apps: Apps,
  users: Users,
  recent: Recent,
  queues: Queues,
  configuration: Configuration,
  certificates: Certificates,
  try: TryIt
}
