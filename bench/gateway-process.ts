/** Runs `wxgate run` as a separate process and makes access tokens that it accepts without a
 *  login. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../src/clock.ts'
import { createKeyRing } from '../src/crypto/key-ring.ts'
import { createSealer } from '../src/crypto/sealer.ts'
import { type AccessTokens, createAccessTokens } from '../src/identity/tokens/access-tokens.ts'
import { createJwtCodecs } from '../src/identity/tokens/jwt-codecs.ts'
import { deriveSigningKeys } from '../src/identity/tokens/signing-keys.ts'
import { freePort, type Process, startProcess, waitUntilUp } from './processes.ts'
import type { Build } from './wxgate.ts'

export const APP_ID = 'wx0123456789abcdef'
const SECRET = 'a secret of the benchmark, known to everybody'
const TWO_HOURS = 7_200_000

export interface GatewayProcess {
  readonly port: number
  readonly process: Process
  /** MiB of memory in each of its processes, the primary first. */
  memory(): number[]
}

/** @param core One core, or a list in the form of taskset. */
export async function startGateway(
  folder: string,
  options: { build: Build; workers: number; core: string; upstreamPort: number }
): Promise<GatewayProcess> {
  const port = await freePort()
  const file = join(folder, `workers-${options.workers}.yaml`)
  const config = {
    server: {
      host: '127.0.0.1',
      port,
      workers: options.workers,
      drain: { delay: '0s', timeout: '1s' }
    },
    service: { host: '127.0.0.1', port: await freePort() },
    secrets: [SECRET],
    wechat: { apiBase: 'sandbox' },
    apps: [{ appid: APP_ID, secret: '0123456789abcdef0123456789abcdef' }],
    store: `sqlite:${join(folder, 'wxgate.db')}`,
    logging: { access: false },
    upstreams: { orders: { targets: [{ url: `http://127.0.0.1:${options.upstreamPort}` }] } },
    routes: [{ path: '/api/orders', upstream: 'orders' }]
  }
  writeFileSync(file, JSON.stringify(config))
  const { node, root } = options.build
  const child = startProcess(node, [join(root, 'bin/wxgate.js'), 'run', '-c', file], {
    core: options.core,
    // As the image and the systemd unit do.
    env: { NODE_ENV: 'production', WXGATE_ALLOW: 'sandbox', NODE_OPTIONS: '--max-semi-space-size=8' }
  })
  await waitUntilUp(`http://127.0.0.1:${port}/readyz`, child, 15_000, 200)
  return { port, process: child, memory: () => [child.pid, ...childrenOf(child.pid)].map(residentMiB) }
}

/** Signs and verifies the tokens of {@link startGateway}. */
export async function createTokenMaker(): Promise<AccessTokens> {
  const ring = createKeyRing([SECRET])
  return createAccessTokens({
    codecs: await createJwtCodecs(deriveSigningKeys(ring, 'HS256')),
    issuer: 'wxgate',
    appIds: [APP_ID],
    accessTtl: TWO_HOURS,
    openId: 'sealed',
    sealer: createSealer(ring, 'openid', { deterministic: true }),
    clock: systemClock
  })
}

/** A token of the user with this number, with ids as long as real ones. */
export function tokenOf(tokens: AccessTokens, user: number): string {
  const number = user.toString(36).padStart(10, '0')
  const now = Date.now()
  return tokens.sign(
    {
      appId: APP_ID,
      openId: `oBenchmark00000000${number}`,
      unionId: `uBenchmark00000000${number}`,
      userId: `u_Benchmark${number}`,
      sessionId: `Session00000${number}`,
      epoch: 0,
      status: 'anonymous',
      claims: {}
    },
    now,
    now + TWO_HOURS
  )
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === parent)
    .map(Number)
}

function parentOf(pid: string): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return -1
  }
}

/** VmRSS of /proc/PID/status (proc(5)). */
function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024
}
