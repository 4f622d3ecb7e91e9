/** `npm start`: the gateway on the repository's own gateway.yaml with everything it needs around it, for a first look. */

import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { GatewayConfig } from '../config/config.ts'
import { resolveGeneratedSecret } from '../config/generated-secret.ts'
import type { LoadResult } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { configFile, configOptions, loadConfigFrom } from './config-arguments.ts'
import type { ProcessIo } from './io.ts'
import { describe, start } from './start.ts'
import { refuseCommandLine } from './usage.ts'

interface OrdersService {
  listen(port: number, host?: string): Promise<number>
  close(): Promise<void>
}

interface OrdersModule {
  createOrdersService(options: { file: string }): OrdersService
}

const USAGE = `Usage: wxgate demo [-c FILE] [--allow NAME[,NAME]]

Runs the gateway with the sandbox and a sample orders service; npm start does the same.
`

export async function run(args: readonly string[], io: ProcessIo): Promise<number> {
  const ordersPort = io.env.ORDERS_PORT || '3000'
  const ordersUrl = io.env.ORDERS_URL || `http://127.0.0.1:${ordersPort}`
  let values: { config?: string; allow?: string[]; help?: boolean }
  const load = () => loadConfigFrom(values, { ...io, env: { ...io.env, ORDERS_URL: ordersUrl } })
  let loaded: LoadResult
  try {
    values = parseArgs({ args: [...args], options: { ...configOptions, help: { type: 'boolean', short: 'h' } } }).values
    if (values.help) {
      io.stdout(USAGE)
      return 0
    }
    loaded = load()
  } catch (error) {
    return refuseCommandLine('demo', error, USAGE, io)
  }
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.stderr(`${formatProblem(problem)}\n`)
    return 2
  }
  const baseDir = dirname(resolve(io.cwd, configFile(values, io.env)))
  let orders: OrdersService | null = null
  try {
    // The sample, unless a real service was named.
    if (!io.env.ORDERS_URL) orders = await startOrders(io, baseDir, Number(ordersPort))
    const config = resolveGeneratedSecret(loaded.config)
    const file = resolve(io.cwd, configFile(values, io.env))
    const running = await start(config, { file, load, complete: resolveGeneratedSecret }, io)
    await running.gateway.ready()
    io.stdout(welcome(config, running.edgeUrl, running.serviceUrl, running.sandboxUrl, ordersUrl))
    return await running.untilStopped()
  } catch (error) {
    io.stderr(`wxgate could not start: ${describe(error)}\n`)
    return 1
  } finally {
    await orders?.close()
  }
}

async function startOrders(io: ProcessIo, baseDir: string, port: number): Promise<OrdersService> {
  const module = pathToFileURL(resolve(baseDir, 'examples/orders/server.ts')).href
  const { createOrdersService } = (await import(module)) as OrdersModule
  const service = createOrdersService({ file: resolve(baseDir, io.env.ORDERS_DB || 'data/orders.db') })
  await service.listen(port, '127.0.0.1')
  return service
}

function welcome(config: GatewayConfig, edge: string, service: string, sandbox: string | null, orders: string): string {
  const code = sandbox === null ? 'CODE_OF_WX_LOGIN' : 'sandbox-alice'
  const appid = config.apps.length > 1 ? `,"appid":"${config.apps[0]?.appId}"` : ''
  const login = `curl -s ${edge}/auth/login -H 'content-type: application/json' -d '{"code":"${code}"${appid}}'`
  return `
  gateway          ${edge}
  service listener ${service}   (for backends and operators)
  WeChat           ${sandbox ?? config.wechat.apiBase}${sandbox === null ? '' : '   (the sandbox)'}
  orders service   ${orders}   (sees X-OpenId, never a WeChat credential)

Log in as alice; then do so and list her orders:

  ${login}

  curl -s ${edge}/api/orders -H "authorization: Bearer $(${login} | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')"

`
}
