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
