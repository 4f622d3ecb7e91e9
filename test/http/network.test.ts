/** Network addresses: one canonical form, one key per client, and the client behind trusted
 *  proxies. */
import { test } from 'tap'
import { canonicalAddress, createPeers, networkKey } from '../../src/http/network.ts'

test('every spelling of an address has one canonical form', (t) => {
  const rows: [string, string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:db8:0:0::1', '2001:db8::1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::FFFF:102:304', '1.2.3.4'],
    ['0:0:0:0:0:ffff:0102:0304', '1.2.3.4'],
    ['::1', '::1'],
    ['unknown', 'unknown'],
    ['', '']
  ]
  for (const [text, canonical] of rows) t.equal(canonicalAddress(text), canonical, text)
  t.end()
})

test('an IPv6 /64 and an IPv4 address are one client each', (t) => {
  const key = networkKey('2001:db8:0:1::1')
  for (const text of ['2001:db8:0:1:ffff::9', '2001:DB8:0:1::1', '2001:db8::1:0:0:0:5'])
    t.equal(networkKey(text), key, text)
  t.not(networkKey('2001:db8:0:2::1'), key)
  t.equal(networkKey('::ffff:1.2.3.4'), networkKey('1.2.3.4'))
  t.not(networkKey('::ffff:1.2.3.4'), networkKey('::ffff:1.2.3.5'))
  t.end()
})

test('the client is the rightmost address that is not a trusted proxy; empty elements do not count', (t) => {
  const peers = createPeers({ trusted: ['10.0.0.0/8', '2001:db8:ffff::/48'] })
  const proxy = peers.of({ address: '10.0.0.1', isTls: false })
  t.equal(proxy.isTrusted, true)
  const rows: [string | undefined, string][] = [
    [undefined, '10.0.0.1'],
    ['1.2.3.4', '1.2.3.4'],
    ['1.2.3.4,', '1.2.3.4'],
    [', ,1.2.3.4 ,,', '1.2.3.4'],
    ['6.6.6.6, 1.2.3.4, 10.1.1.1', '1.2.3.4'],
    ['10.1.1.1, 10.1.1.2', '10.1.1.1'],
    ['1.2.3.4:5000', '1.2.3.4'],
    ['[2001:DB8::7]:443', '2001:db8::7'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['1.2.3.4, unknown', '10.0.0.1'],
    ['', '10.0.0.1'],
    [',', '10.0.0.1']
  ]
  for (const [forwarded, client] of rows) t.equal(peers.clientAddress(proxy, forwarded), client, String(forwarded))
  t.equal(peers.of({ address: '', isTls: true }).isTrusted, false)
  t.end()
})
