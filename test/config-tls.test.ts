/** The certificate of the edge: complete, in order, and with its own key. */
import { test } from 'tap'
import { hasOpenssl } from './support/certificates.ts'
import { configText, files, load } from './support/config.ts'

function check(cert: string, key: string) {
  const readFile = files({ '/etc/wxgate/cert': { text: cert }, '/etc/wxgate/key': { text: key } })
  const result = load(configText({}, 'server: { tls: { cert: { file: cert }, key: { file: key } } }'), { readFile })
  const lines = (list: readonly { path: string; message: string }[]) =>
    list.map(({ path, message }) => `${path} ${message}`)
  return { problems: result.ok ? [] : lines(result.problems), warnings: lines(result.warnings) }
}

test('a chain without its intermediate certificate is a warning', async (t) => {
  const certificates = hasOpenssl(t)
  if (certificates === null) return
  const root = certificates.make('root', 'DNS:root')
  const middle = certificates.issue('middle', root)
  const leaf = certificates.issue('leaf', middle)
  const gap = /^server\.tls\.cert\.file the chain lacks its intermediate certificate: Android and WeChat refuse it/
  t.match(check(leaf.cert, leaf.key), { problems: [], warnings: [gap] })
  t.match(check(leaf.cert, leaf.key), { warnings: [/add the certificate of "middle"/] })
  t.same(check(leaf.cert + middle.cert + root.cert, leaf.key), { problems: [], warnings: [] })
  t.same(check(root.cert, root.key), { problems: [], warnings: [] }, 'a self-signed certificate has no chain')
  const disorder = /the certificates are not in order: each must be issued by the one below it/
  t.match(check(leaf.cert + root.cert + middle.cert, leaf.key), { problems: [], warnings: [disorder] })
  t.match(check(leaf.cert + leaf.cert + middle.cert, leaf.key), { problems: [], warnings: [disorder] })
})

test('a chain without its second intermediate certificate is a warning', async (t) => {
  const certificates = hasOpenssl(t)
  if (certificates === null) return
  const root = certificates.make('root', 'DNS:root')
  const second = certificates.issue('second', root)
  const first = certificates.issue('first', second)
  const leaf = certificates.issue('leaf', first)
  const chain = (...parts: { cert: string }[]) => check(parts.map(({ cert }) => cert).join(''), leaf.key)
  t.same(chain(leaf, first, second, root), { problems: [], warnings: [] })
  t.match(chain(leaf, first), { problems: [], warnings: [/lacks its intermediate.*"second"/] })
  t.match(chain(leaf, first, root), { problems: [], warnings: [/lacks its intermediate.*"second"/] })
  t.match(chain(leaf, second, root), { problems: [], warnings: [/lacks its intermediate.*"first"/] })
  t.match(chain(leaf, first, second), { problems: [], warnings: [/lacks its intermediate.*"root"/] }, 'no public root')
})

test('a certificate and a key that do not match are refused, of one kind or of two', async (t) => {
  const certificates = hasOpenssl(t)
  if (certificates === null) return
  const [one, other] = [certificates.make('one', 'DNS:one'), certificates.make('other', 'DNS:other')]
  const rsa = certificates.make('rsa', 'DNS:rsa', 'rsa')
  const refused = { problems: ['server.tls.key.file does not belong to the certificate'], warnings: [] }
  t.same(check(one.cert, other.key), refused)
  t.same(check(rsa.cert, one.key), refused)
  t.same(check(one.cert, rsa.key), refused)
  t.same(check(rsa.cert, rsa.key), { problems: [], warnings: [] })
})

test('a list of pairs is checked pair by pair, for both listeners', async (t) => {
  const certificates = hasOpenssl(t)
  if (certificates === null) return
  const [one, wild] = [certificates.make('one', 'DNS:one.example'), certificates.make('wild', 'DNS:*.one.example')]
  const again = certificates.make('again', 'DNS:one.example')
  const readFile = files({
    '/etc/wxgate/one': { text: one.cert },
    '/etc/wxgate/one.key': { text: one.key },
    '/etc/wxgate/wild': { text: wild.cert },
    '/etc/wxgate/wild.key': { text: wild.key },
    '/etc/wxgate/again': { text: again.cert },
    '/etc/wxgate/again.key': { text: again.key }
  })
  const pair = (cert: string, key = `${cert}.key`) => `{ cert: { file: ${cert} }, key: { file: ${key} } }`
  for (const listener of ['server', 'service']) {
    const found = (tls: string) => {
      const result = load(configText({}, `${listener}: { tls: ${tls} }`), { readFile })
      const list = [...(result.ok ? [] : result.problems), ...result.warnings]
      return list.map(({ line, path, message }) => `${line} ${path} ${message}`)
    }
    t.same(found(`[${pair('one')}, ${pair('wild')}]`), [])
    t.same(found(pair('one')), [])
    const faults: readonly (readonly [string, string])[] = [
      [`[${pair('one')}, ${pair('wild', 'one.key')}]`, 'tls[1].key.file does not belong to the certificate'],
      [`[${pair('one')}, { cert: { file: wild } }]`, 'tls[1].key is missing'],
      [`[${pair('one')}, { cert: { file: wild }, key: wild.key }]`, 'tls[1].key must be a mapping of keys to values'],
      ['{ cert: { file: one } }', 'tls.key is missing'],
      ['{ certificate: { file: one }, key: { file: one.key }, cert: { file: one } }', 'tls.certificate unknown key'],
      ['[]', 'tls must have at least one entry'],
      ['one.pem', 'tls must be a certificate with its key, or a list of them'],
      [
        `[${pair('one')}, ${pair('missing', 'one.key')}]`,
        'tls[1].cert.file the file cannot be used: there is no such file'
      ],
      [
        `[${pair('one')}, ${pair('again')}]`,
        'tls[1].cert.file no client gets this certificate: earlier ones have all its names'
      ]
    ]
    for (const [tls, fault] of faults) t.same(found(tls), [`5 ${listener}.${fault}`], tls)
  }
})

test('a certificate that has ended is a warning', async (t) => {
  const certificates = hasOpenssl(t)
  if (certificates === null) return
  const past = certificates.expire('past', certificates.make('live', 'DNS:live.example'))
  const ended = /^server\.tls\.cert\.file the certificate ended on \d{4}-\d\d-\d\d: clients refuse it/
  t.match(check(past.cert, past.key), { problems: [], warnings: [ended] })
})
