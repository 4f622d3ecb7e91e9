/** The certificates of GET /v1/status: those of the listeners, of upstreams and of the pay API. */
import { X509Certificate } from 'node:crypto'
import type { AppConfig, GatewayConfig } from '../../config/config.ts'
import type { PlatformCertificateState } from '../../platforms/pay-port.ts'
import { type Static, Type } from '../../schema.ts'
import { closed, Text, Time, timeOf, word } from './terms.ts'

export const Certificate = closed(
  {
    use: Type.String({ description: 'Key of gateway.yaml, such as `server.tls.cert`.' }),
    subject: Text,
    issuer: Text,
    serial: Text,
    valid_from: Time,
    valid_to: Time,
    state: word(['ok', 'expiring', 'expired', 'not_yet_valid'], '`expiring`: within 14 days.')
  },
  'A certificate.'
)

export type CertificateStatus = Static<typeof Certificate>

/** Most authorities ask for renewal 30 days before the end; 14 days means that it failed. */
const EXPIRING_MS = 14 * 86_400_000
const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

export interface CertificatesInUse {
  /** PEM, one text for each pair in the order of the file; a pair may be followed on disk. */
  readonly server: readonly string[]
  readonly service: readonly string[]
}

export interface CertificateSources {
  readonly inUse: CertificatesInUse
  /** Certificates of the pay API that the gateway fetched for an app. */
  readonly fetchedOf: (app: AppConfig) => readonly PlatformCertificateState[]
}

/** @param now Milliseconds since the epoch. */
export function describeCertificates(
  { upstreams, apps }: Pick<GatewayConfig, 'upstreams' | 'apps'>,
  { inUse, fetchedOf }: CertificateSources,
  now: number
): CertificateStatus[] {
  const texts: (readonly [string, string])[] = []
  for (const listener of ['server', 'service'] as const) {
    for (const [index, pem] of inUse[listener].entries()) {
      const place = inUse[listener].length === 1 ? 'tls' : `tls[${index}]`
      texts.push([`${listener}.${place}.cert`, pem])
    }
  }
  for (const { name, tls } of upstreams) {
    if (tls.cert !== null) texts.push([`upstreams.${name}.tls.cert`, tls.cert])
    if (tls.ca !== null) texts.push([`upstreams.${name}.tls.ca`, tls.ca])
  }
  for (const { appId, pay, apiSignature } of apps) {
    for (const { publicKey } of pay?.platformKeys ?? []) texts.push([`apps.${appId}.pay.platformKeys`, publicKey])
    for (const { publicKey } of apiSignature?.platformKeys ?? [])
      texts.push([`apps.${appId}.apiSignature.platformKeys`, publicKey])
  }
  return [
    ...texts.flatMap(([use, pem]) => readAll(pem).map((certificate) => describe(use, certificate, now))),
    ...apps.flatMap((app) => fetchedOf(app).map((one) => describe(`apps.${app.appId}.pay`, one, now)))
  ]
}

/** Empty for a public key. */
function readAll(pem: string): PlatformCertificateState[] {
  try {
    return (pem.match(BLOCK) ?? []).map((block) => {
      const { subject, issuer, serialNumber, validFrom, validTo } = new X509Certificate(block)
      return { subject, issuer, serial: serialNumber, from: Date.parse(validFrom), to: Date.parse(validTo) }
    })
  } catch {
    return []
  }
}

function describe(use: string, certificate: PlatformCertificateState, now: number): CertificateStatus {
  const { subject, issuer, serial, from, to } = certificate
  return {
    use,
    subject: oneLine(subject),
    issuer: oneLine(issuer),
    serial,
    valid_from: timeOf(from),
    valid_to: timeOf(to),
    state: now < from ? 'not_yet_valid' : now >= to ? 'expired' : to - now < EXPIRING_MS ? 'expiring' : 'ok'
  }
}

/** @param name Undefined for a certificate without one. */
function oneLine(name: string | undefined): string {
  return (name ?? '').replaceAll('\n', ', ')
}
