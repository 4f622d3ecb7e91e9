/** `apps[].apiSignature`: signed and encrypted calls (API 安全 of the console). */
import { type Static, Type } from '../../schema.ts'
import { publicRsaKeyFault, rsaKeyFault } from '../pem.ts'
import type { Path } from '../problem.ts'
import type { Report } from '../report.ts'
import { type Draft, entries, reportRepeats } from '../section.ts'
import { mapping, matching, privatePem, publicPem, secret } from '../terms.ts'

const number = (description: string) =>
  matching(description, '^[0-9A-Za-z_-]{1,64}$', 'the number that the console shows')

export const apiSignature = mapping('API signatures (API 安全): calls are signed and encrypted, answers verified.', {
  symmetricKey: secret('API symmetric key (AES256) in Base64.'),
  symmetricKeySn: number('Number of the symmetric key in the console.'),
  privateKey: privatePem('Private key in PEM whose public key is in the console (RSA).'),
  platformKeys: Type.Array(
    mapping('A certificate of the open platform.', {
      serial: number('Its number in the console, which is not the serial number inside the certificate.'),
      publicKey: publicPem('The certificate, or its public key, in PEM.')
    }),
    { description: 'Keys that verify the answers.', minItems: 1, maxItems: 16 }
  )
})

type Written = Static<typeof apiSignature>

const AES_256_BYTES = 32

/** @param place `apps[index].apiSignature`. */
export function checkApiSignature(written: Draft<Written>, place: Path, report: Report): void {
  const { symmetricKey, privateKey } = written
  if (symmetricKey !== undefined && Buffer.from(symmetricKey, 'base64').length !== AES_256_BYTES)
    report.error([...place, 'symmetricKey'], 'must be the symmetric key of the console: 32 bytes in Base64')
  const fault = privateKey === undefined ? null : rsaKeyFault(privateKey)
  if (fault !== null) report.error([...place, 'privateKey'], fault.message)
  const keys = entries(written.platformKeys)
  reportRepeats(
    keys.map(([index, { serial }]) => [[...place, 'platformKeys', index, 'serial'], serial]),
    (line) => `is the number of another key, on line ${line}`,
    report
  )
  for (const [index, { publicKey }] of keys) {
    const keyFault = publicKey === undefined ? null : publicRsaKeyFault(publicKey)
    if (keyFault !== null) report.error([...place, 'platformKeys', index, 'publicKey'], keyFault.message)
  }
}
