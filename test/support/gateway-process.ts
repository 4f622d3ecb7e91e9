/** `wxgate run` as a separate process with a configuration of the test, and its resources as the
 *  kernel counts them. Resources need /proc (Linux). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { defaultConfig } from './gateway.ts'
import type { Teardown } from './listen.ts'
import { freePort, startProcess, type TestProcess, untilStatus, writeConfig } from './process.ts'

export interface GatewayProcessOptions {
  /** Top-level keys of gateway.yaml. `server` adds to the address chosen here. */
  readonly config?: Record<string, unknown>
  readonly server?: Record<string, unknown>
  /** Default: a free one. */
  readonly port?: number
  /** Limit of open files. */
  readonly files?: number
}

export interface GatewayProcess extends TestProcess {
  readonly port: number
  readonly servicePort: number
  readonly url: string
  readonly serviceUrl: string
  /** Resident memory in MiB. */
  memory(): number
  descriptors(): { readonly all: number; readonly sockets: number }
}

/** Resolves when the gateway is ready. */
export async function startGatewayProcess(
  t: Teardown,
  upstream: string,
  options: GatewayProcessOptions = {}
): Promise<GatewayProcess> {
  const [port, servicePort] = [options.port ?? (await freePort()), await freePort()]
  const base = defaultConfig(upstream)
  const { file } = writeConfig(t, {
    ...base,
    ...options.config,
    server: { ...(base.server as object), port, ...options.server },
    service: { ...(base.service as object), port: servicePort }
  })
  const started = startProcess(t, ['run', '-c', file], {}, 'pipe', options.files)
  const url = `http://127.0.0.1:${port}`
  if ((await untilStatus(`${url}/readyz`, 200)) !== 200) throw new Error(started.output())
  const folder = `/proc/${started.child.pid}`
  return {
    ...started,
    port,
    servicePort,
    url,
    serviceUrl: `http://127.0.0.1:${servicePort}`,
    memory: () => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`${folder}/status`, 'latin1'))?.[1]) / 1024,
    descriptors() {
      const links = readdirSync(`${folder}/fd`).map((name) => linkOf(`${folder}/fd/${name}`))
      return { all: links.length, sockets: links.filter((link) => link.startsWith('socket:')).length }
    }
  }
}

/** Empty when the descriptor was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
