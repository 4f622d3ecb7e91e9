/** The certificates of `server.tls` and `service.tls`: complete, and not about to expire. */
import { readFileSync } from 'node:fs'
import { type ChainFault, chainFaults } from '../../crypto/certificate-chain.ts'
import { reasonOf } from '../../errors.ts'
import { type Finding, failed, ok, warning } from './finding.ts'

export function checkCertificates(certFiles: readonly string[], now: number): Finding[] {
  return certFiles.flatMap((file) => {
    const subject = `certificate ${file}`
    let faults: ChainFault[]
    try {
      faults = chainFaults(readFileSync(file, 'utf8'), now)
    } catch (error) {
      return [
        failed(
          subject,
          `cannot be read (${reasonOf(error)})`,
          'let this user read it, or correct server.tls or service.tls'
        )
      ]
    }
    if (faults.length === 0) return [ok(subject, 'is complete and valid')]
    return faults.map((fault) => judge(subject, fault))
  })
}

function judge(subject: string, { kind, day, issuer }: ChainFault): Finding {
  switch (kind) {
    case 'unreadable':
      return failed(subject, 'holds no readable certificate in PEM', 'correct its file')
    case 'expired':
      return failed(subject, `ended on ${day}`, 'renew it')
    case 'expiring':
      return warning(subject, `ends on ${day}`, 'renew it')
    case 'notYetValid':
      return failed(subject, `begins on ${day}`, 'check the clock of this machine')
    case 'selfSigned':
      return warning(subject, 'is self-signed: WeChat refuses it', 'use one of a public authority')
    case 'unordered':
      return failed(subject, 'is not in order: each must be issued by the one below it', 'put the leaf first')
    case 'incomplete':
      return failed(
        subject,
        `lacks the certificate of its issuer ${issuer}: Android refuses it`,
        'append the intermediate certificates, leaf first (fullchain.pem)'
      )
  }
}
