/** Returns the OpenAPI documents of both listeners, as a running gateway serves them. */
import { systemClock } from '../src/clock.ts'
import { loadConfig } from '../src/config/load.ts'
import { buildGateway } from '../src/gateway/gateway.ts'
import { openStore } from '../src/store/open.ts'
import { createAccessLog } from '../src/telemetry/access-log.ts'
import { createLog } from '../src/telemetry/log.ts'

/** A mini-program with every capability: an endpoint exists only when an app can use it. */
const CONFIG = `
version: 1
server: { host: 127.0.0.1, port: 0 }
service: { host: 127.0.0.1, port: 0 }
secrets: [the-documents-contain-no-secret-at-all]
wechat: { apiBase: sandbox }
apps: [{ appid: wx1234567890abcdef, secret: sandbox }]
store: 'memory:'
logging: { level: error, access: false }
upstreams: { app: { targets: [{ url: http://127.0.0.1:9 }] } }
routes: [{ path: /, upstream: app }]
`

/** Text of docs/openapi/edge.json and docs/openapi/service.json. */
export async function openApiDocuments(): Promise<{ edge: string; service: string }> {
  const loaded = loadConfig({ file: 'gateway.yaml', text: CONFIG, env: {}, production: false, allow: new Set() })
  if (!loaded.ok) throw new Error('the configuration of the OpenAPI documents is not valid')
  const { config } = loaded
  const output = {
    write(l: string) {
      process.stderr.write(l)
    },
    async flush() {}
  }
  const log = createLog(config.logging, output)
  const store = await openStore(config.store, { clock: systemClock, log })
  const gateway = await buildGateway(config, {
    store,
    clock: systemClock,
    log,
    accessLog: createAccessLog(config.logging, output, false),
    version: '',
    wechatUrl: 'http://127.0.0.1:9'
  })
  try {
    const { service } = await gateway.listen()
    const read = async (name: string) => {
      const response = await fetch(`http://127.0.0.1:${service.port}/openapi/${name}.json`)
      if (!response.ok) throw new Error(`the document of the ${name} is ${response.status}`)
      return `${JSON.stringify(await response.json(), null, 2)}\n`
    }
    return { edge: await read('edge'), service: await read('service') }
  } finally {
    await gateway.close()
    await store.close()
  }
}
