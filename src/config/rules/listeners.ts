/** `server` and `service`: who listens where, and who is believed. */
import { isLoopback, isSameListener, rangeFault } from '../../http/addresses.ts'
import { readSecretFile } from '../secret-file.ts'
import { pemFaults } from './pem.ts'
import { entries, type Rule } from './rule.ts'

export const listeners: Rule = (context) => {
  ports(context)
  trustedProxies(context)
  tlsFiles(context)
  serviceTokens(context)
}

const ports: Rule = ({ draft: { server, service }, report }) => {
  const [edge, inner] = [server?.host, service?.host]
  if (inner !== undefined && !isLoopback(inner)) {
    report.warn(
      ['service', 'host'],
      'the service listener can be reached from other machines: keep it out of reach of the internet'
    )
  }
  const port = service?.port
  if (port === undefined || port === 0 || port !== server?.port || edge === undefined || inner === undefined) return
  if (isSameListener(edge, inner)) report.error(['service', 'port'], 'is the port of the public edge (server.port)')
}

const trustedProxies: Rule = ({ draft, report }) => {
  for (const [index, range] of entries(draft.server?.trustedProxies)) {
    const fault = rangeFault(range)
    if (fault !== null) report.error(['server', 'trustedProxies', index], fault)
  }
}

/** The files are read again by the listener; here they have to be there and to fit together. */
const tlsFiles: Rule = ({ draft, report, directory, readFile }) => {
  const pem: Partial<Record<'cert' | 'key', string>> = {}
  for (const part of ['cert', 'key'] as const) {
    const file = draft.server?.tls?.[part]?.file
    if (file === undefined) continue
    const path = ['server', 'tls', part]
    // A certificate is no secret.
    const text = readSecretFile(
      file,
      { directory, readFile },
      path,
      part === 'key' ? report : { ...report, warn: () => {} }
    )
    if (text !== null) pem[part] = text
  }
  for (const [part, fault] of pemFaults(pem)) report.error(['server', 'tls', part, 'file'], fault)
}

const serviceTokens: Rule = ({ draft, report }) => {
  const names = new Map<string, number>()
  const tokens = new Map<string, number>()
  for (const [index, { name, token }] of entries(draft.service?.tokens)) {
    const path = ['service', 'tokens', index]
    if (name !== undefined) {
      const first = names.get(name)
      if (first === undefined) names.set(name, index)
      else
        report.error(
          [...path, 'name'],
          `is the name of another token, on line ${report.line([...path.slice(0, 2), first, 'name'])}`
        )
    }
    if (token === undefined) continue
    if (token.length < 16)
      report.error([...path, 'token'], 'must have at least 16 characters', 'wxgate keygen prints a good one')
    // RFC 6750, section 2.1: what can follow "Bearer" in a header.
    else if (!/^[\x21-\x7e]+$/.test(token)) report.error([...path, 'token'], 'must be printable ASCII without spaces')
    const first = tokens.get(token)
    if (first === undefined) tokens.set(token, index)
    else
      report.error(
        [...path, 'token'],
        `is the same as the one on line ${report.line([...path.slice(0, 2), first, 'token'])}`
      )
  }
}
