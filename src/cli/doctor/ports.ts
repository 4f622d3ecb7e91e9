/** Checks that the ports of both listeners are free or belong to a running gateway. */
import { createServer } from 'node:net'
import { Agent, request } from 'undici'
import { reasonOf } from '../../errors.ts'
import { type Finding, failed, ok } from './finding.ts'

export interface ListenerCheck {
  readonly key: 'server' | 'server.redirectHttp' | 'service'
  readonly host: string
  readonly port: number
  readonly isTls: boolean
}

const TIMEOUT_MS = 1_000

export async function checkPort(listener: ListenerCheck): Promise<Finding[]> {
  const { key, host, port } = listener
  const subject = `${key} ${host}:${port}`
  try {
    await bind(host, port)
    return [ok(subject, 'is free')]
  } catch (error) {
    const code = reasonOf(error)
    if (code === 'EADDRINUSE' && (await isGateway(listener))) return [ok(subject, 'a gateway answers here')]
    if (code === 'EADDRINUSE') {
      return [failed(subject, 'is in use by another program', `stop it, or change ${key}.port`)]
    }
    const advice =
      code === 'EACCES' ? `choose a ${key}.port above 1023` : `change ${key === 'service' ? key : 'server'}.host`
    return [failed(subject, `cannot be listened on (${code})`, advice)]
  }
}

function bind(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, host, () => server.close(() => resolve()))
  })
}

/** Of a listener on this machine. */
export function localUrl({ host, port, isTls }: Omit<ListenerCheck, 'key'>): string {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  return `${isTls ? 'https' : 'http'}://${name}:${port}`
}

async function isGateway(listener: ListenerCheck): Promise<boolean> {
  // The certificate names the public host, and this is the same machine.
  const dispatcher = new Agent({ connect: { timeout: TIMEOUT_MS, rejectUnauthorized: false } })
  try {
    const url = `${localUrl(listener)}/livez`
    const { statusCode, body } = await request(url, { dispatcher, signal: AbortSignal.timeout(TIMEOUT_MS) })
    return statusCode === 200 && (await body.text()).includes('"status":"ok"')
  } catch {
    return false
  } finally {
    await dispatcher.destroy()
  }
}
