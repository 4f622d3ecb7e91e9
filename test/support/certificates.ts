/** Certificates made with openssl in a folder of the test. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
}

export interface Certificates {
  /** Self-signed; `name` as openssl has it: `DNS:a.example` or `IP:127.0.0.1`. */
  make(file: string, name: string, kind?: 'ec' | 'rsa'): Certificate
  /** The same pair, with a certificate that ended a day ago. */
  expire(file: string, certificate: Certificate): Certificate
  /** Issued by another certificate, with the right to issue further ones. */
  issue(file: string, issuer: Certificate): Certificate
}

const KEYS = { ec: ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'], rsa: ['rsa:2048'] }

/** Null, with a comment, without openssl on this machine; in CI that is a failure. */
export function hasOpenssl(t: Test): Certificates | null {
  if (spawnSync('openssl', ['version']).error) {
    if (process.env.CI) t.fail('openssl is not installed')
    else t.comment('NOT TESTED: openssl is not installed')
    return null
  }
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-certificates-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const create = (file: string, kind: 'ec' | 'rsa', rest: readonly string[]): Certificate => {
    const certFile = join(folder, `${file}.crt`)
    const keyFile = join(folder, `${file}.key`)
    const result = spawnSync('openssl', [
      ...['req', '-x509', '-newkey', ...KEYS[kind], '-nodes', '-days', '2', '-subj', `/CN=${file}`],
      ...[...rest, '-keyout', keyFile, '-out', certFile]
    ])
    if (result.status !== 0) throw new Error(`openssl: ${result.stderr}`)
    return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
  }
  return {
    make: (file, name, kind = 'ec') => create(file, kind, ['-addext', `subjectAltName=${name}`]),
    expire(file, { certFile, keyFile, key }) {
      const expiredFile = join(folder, `${file}.crt`)
      const result = spawnSync('openssl', [
        ...['x509', '-in', certFile, '-signkey', keyFile, '-days', '-1', '-out', expiredFile]
      ])
      if (result.status !== 0) throw new Error(`openssl: ${result.stderr}`)
      return { certFile: expiredFile, keyFile, cert: readFileSync(expiredFile, 'utf8'), key }
    },
    issue: (file, { certFile, keyFile }) => create(file, 'ec', ['-CA', certFile, '-CAkey', keyFile])
  }
}
