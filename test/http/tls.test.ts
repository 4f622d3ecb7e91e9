/** TLS on the edge: plain HTTP gets a message, weak suites are not offered, a pair is replaced
 *  together. */
import { writeFileSync } from 'node:fs'
import { connect as connectTls } from 'node:tls'
import { test } from 'tap'
import { hasOpenssl } from '../support/certificates.ts'
import { startServer } from '../support/http-server.ts'
import { exchange } from '../support/raw-client.ts'
import { until } from '../support/until.ts'

function handshake(port: number, options: object = {}): Promise<{ subject: string; cipher: string } | string> {
  return new Promise((resolve) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => {
      const subject = String(socket.getPeerCertificate().subject?.CN)
      resolve({ subject, cipher: socket.getCipher().name })
      socket.destroy()
    })
    socket.on('error', (error) => resolve(error.message))
  })
}

test('plain HTTP on the TLS port gets 400 and a message; other bytes get nothing', async (t) => {
  const certificate = hasOpenssl(t)?.make('edge', 'IP:127.0.0.1')
  if (!certificate) return
  const { port } = await startServer(t, { serve: (_req, res) => void res.end(), tls: certificate })
  const { text } = await exchange(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  t.match(text, /^HTTP\/1\.1 400 /)
  t.match(text, /use https/)
  t.equal((await exchange(port, '\0\0\0\0')).text, '')
  t.match(await handshake(port), { subject: 'edge' })
})

test('suites without forward secrecy or authenticated encryption are not offered', async (t) => {
  const certificate = hasOpenssl(t)?.make('edge', 'IP:127.0.0.1')
  if (!certificate) return
  const { port } = await startServer(t, { serve: (_req, res) => void res.end(), tls: certificate })
  const old = { maxVersion: 'TLSv1.2' as const }
  for (const ciphers of ['AES128-SHA', 'AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-SHA', 'ECDHE-RSA-AES128-SHA256']) {
    t.type(await handshake(port, { ...old, ciphers }), 'string', ciphers)
  }
  t.match(await handshake(port, old), { cipher: /^ECDHE-.*(?:GCM|POLY1305)/ })
  t.match(await handshake(port), { cipher: /^TLS_/ })
})

test('a certificate is replaced once its key is there', async (t) => {
  const certificates = hasOpenssl(t)
  if (!certificates) return
  const used = certificates.make('used', 'IP:127.0.0.1')
  const next = certificates.make('next', 'IP:127.0.0.1')
  const { port } = await startServer(t, { serve: (_req, res) => void res.end(), tls: used })
  writeFileSync(used.certFile, next.cert)
  t.match(await handshake(port), { subject: 'used' }, 'half of a pair changes nothing')
  writeFileSync(used.keyFile, next.key)
  await until(async () => {
    const result = await handshake(port)
    return typeof result !== 'string' && result.subject === 'next'
  })
})
