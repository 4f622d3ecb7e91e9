/** `npm start`: the gateway on the repository's gateway.yaml, with the sandbox and a sample
 *  service. */
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { GatewayConfig } from '../config/config.ts'
import { resolveGeneratedSecret } from '../config/generated-secret.ts'
import { readCommandConfig } from './command-config.ts'
import { type ConfigArguments, loadConfigFrom } from './config-arguments.ts'
import { describeConsole } from './console-address.ts'
import type { ProcessIo } from './io.ts'
import { describeStartError } from './listen-errors.ts'
import { type RunningGateway, start } from './start.ts'
import { tryIt } from './welcome.ts'

interface OrdersService {
  listen(port: number, host?: string): Promise<number>
  close(): Promise<void>
}

interface OrdersModule {
  createOrdersService(options: { file: string }): OrdersService
}

const USAGE = `Usage: wxgate demo [-c FILE] [--allow NAME[,NAME]]

Runs the gateway with the sandbox and a sample orders service, as npm start does. Only in the repository.
`

export async function run(args: readonly string[], io: ProcessIo): Promise<number> {
  const ordersPort = io.env.ORDERS_PORT || '3000'
  const ordersUrl = io.env.ORDERS_URL || `http://127.0.0.1:${ordersPort}`
  const load = (values: ConfigArguments) => loadConfigFrom(values, { ...io, env: { ...io.env, ORDERS_URL: ordersUrl } })
  const command = await readCommandConfig({ name: 'demo', usage: USAGE, args, io, load })
  if (typeof command === 'number') return command
  const { values, name, loaded } = command
  const file = resolve(io.cwd, name)
  let orders: OrdersService | null = null
  try {
    // The sample runs unless ORDERS_URL names a service.
    if (!io.env.ORDERS_URL) orders = await startOrders(io, dirname(file), Number(ordersPort))
    const memory = { secret: null }
    const complete = (written: GatewayConfig) => resolveGeneratedSecret(written, memory)
    const config = complete(loaded.config)
    const { files, routeLines } = loaded
    const source = { file, files, routeLines, load: () => load(values), complete }
    const running = await start({ config, warnings: loaded.warnings, source, io, isInteractive: true })
    await running.gateway.ready()
    io.stdout(welcome(config, running, ordersUrl))
    return await running.untilStopped()
  } catch (error) {
    io.stderr(`wxgate could not start: ${describeDemoError(error, Number(ordersPort), loaded.config, name, io.cwd)}\n`)
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

function describeDemoError(
  error: unknown,
  ordersPort: number,
  config: GatewayConfig,
  name: string,
  cwd: string
): string {
  const { code, port } = error as NodeJS.ErrnoException & { port?: number }
  if (code === 'EADDRINUSE' && port === ordersPort) {
    return `127.0.0.1:${port} is in use. Stop what listens there, or set ORDERS_PORT (the sample service).`
  }
  return describeStartError(error, config, name, cwd)
}

function welcome(config: GatewayConfig, running: RunningGateway, orders: string): string {
  const { edgeUrl, serviceUrl, sandboxUrl } = running
  return `
  gateway          ${edgeUrl}
  service listener ${serviceUrl}   (for backends and operators)
${describeConsole(running)}  WeChat           ${sandboxUrl ?? config.wechat.apiBase}${sandboxUrl === null ? '' : '   (the sandbox)'}
  orders service   ${orders}   (sees X-OpenId, never a WeChat credential)

Log in as alice; then log in and list her orders:

${tryIt({ edgeUrl, path: '/api/orders', apps: config.apps, isSandbox: sandboxUrl !== null })}
`
}
