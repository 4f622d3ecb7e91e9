/** The web console of a configuration. */
import type { FastifyInstance } from 'fastify'
import type { GatewayConfig } from '../config/config.ts'
import { createAssets } from '../console/assets.ts'
import { addConsole, type ConsoleDeps } from '../console/console.ts'
import { createSandboxCalls } from '../console/sandbox.ts'
import { createConsoleSessions } from '../console/sessions.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { createSealer } from '../crypto/sealer.ts'
import { createCallers } from '../service/callers.ts'
import type { Shared } from './shared.ts'

/** The page is built into this folder. */
const ASSETS = new URL('../console/assets/', import.meta.url)

type Needs = Omit<ConsoleDeps, 'consoleSessions' | 'cookieSealer' | 'assets' | 'sandboxCalls' | 'explain'> &
  Pick<Shared, 'clock' | 'revocations' | 'consoleLinks' | 'edgeAddress' | 'explain'>

/** Null where the configuration has none. */
export function createConsole(
  { service, tokens, wechat }: GatewayConfig,
  keyRing: KeyRing,
  deps: Needs
): ((scope: FastifyInstance) => void) | null {
  if (!service.console) return null
  const sealer = createSealer(keyRing, 'console')
  const consoleSessions = createConsoleSessions({
    sealer,
    csrfKey: keyRing.current.derive('console/csrf', 32),
    clock: deps.clock,
    callers: createCallers(service.tokens),
    links: deps.consoleLinks,
    revocations: deps.revocations,
    accessTtl: tokens.accessTtl
  })
  const isSandboxed = wechat.apiBase === 'sandbox'
  const sandboxCalls = isSandboxed ? createSandboxCalls({ edge: deps.edgeAddress, explain: deps.explain }) : null
  const assets = createAssets(ASSETS)
  return (scope) => addConsole(scope, { ...deps, consoleSessions, cookieSealer: sealer, assets, sandboxCalls })
}
