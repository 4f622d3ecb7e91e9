/** TLS on the edge: plain HTTP gets a message, weak suites are not offered, a pair is replaced
 *  together. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import { connect as connectTls } from 'node:tls'
import { test } from 'tap'
import { type Certificate, hasOpenssl } from '../support/certificates.ts'
import { buildTestGateway, defaultConfig, SERVICE_TOKEN } from '../support/gateway.ts'
import { startServer } from '../support/http-server.ts'
import { headerV1, headerV2 } from '../support/proxy-headers.ts'
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
  for (const bytes of ['\0\0\0\0', headerV2()]) t.equal((await exchange(port, bytes)).text, '')
  t.match((await exchange(port, headerV1('192.0.2.7'))).text, /^HTTP\/1\.1 400 /, 'a PROXY header of version 1')
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

test('SNI chooses by the names in the certificates, and each pair follows its own files', async (t) => {
  const certificates = hasOpenssl(t)
  if (!certificates) return
  const first = certificates.make('first', 'DNS:first.example')
  const wild = certificates.make('wild', 'DNS:*.shop.example,DNS:shop.example')
  const exact = certificates.make('exact', 'DNS:api.shop.example')
  const next = certificates.make('next', 'DNS:next.example')
  const messages: string[] = []
  const { port } = await startServer(t, {
    serve: (_req, res) => void res.end(),
    tls: [first, wild, exact],
    onTlsLog: (message) => void messages.push(message)
  })
  const subjectFor = async (servername?: string) => {
    const result = await handshake(port, servername === undefined ? {} : { servername })
    return typeof result === 'string' ? result : result.subject
  }
  t.equal(await subjectFor(), 'first', 'no name')
  t.equal(await subjectFor('other.example'), 'first', 'an unknown name')
  t.equal(await subjectFor('shop.example'), 'wild')
  t.equal(await subjectFor('www.SHOP.example'), 'wild')
  t.equal(await subjectFor('a.b.shop.example'), 'first', 'a wildcard is one label')
  t.equal(await subjectFor('api.shop.example'), 'exact', 'the very name comes before a wildcard')

  writeFileSync(wild.certFile, 'spoilt')
  writeFileSync(exact.certFile, next.cert)
  writeFileSync(exact.keyFile, next.key)
  await until(async () => (await subjectFor('next.example')) === 'next')
  t.equal(await subjectFor('shop.example'), 'wild', 'the last good pair stays')
  t.equal(await subjectFor('api.shop.example'), 'wild', 'names of the old certificate are gone')
  await until(() => messages.some((message) => /could not be read again: the last one stays/.test(message)))
})

test('TLS 1.2 and 1.3 only, without renegotiation; sessions are resumed; HTTP/1.1 by ALPN', async (t) => {
  const certificates = hasOpenssl(t)
  if (!certificates) return
  const pairs = [certificates.make('edge', 'DNS:edge.example'), certificates.make('other', 'DNS:other.example')]
  const { port } = await startServer(t, { serve: (_req, res) => void res.end(), tls: pairs })
  const old = { ciphers: 'DEFAULT@SECLEVEL=0' }
  for (const version of ['TLSv1', 'TLSv1.1'] as const) {
    const result = await handshake(port, { ...old, minVersion: version, maxVersion: version })
    t.match(result, /protocol version/, version)
  }
  for (const servername of ['edge.example', 'other.example']) {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const options = { port, host: '127.0.0.1', servername, rejectUnauthorized: false, maxVersion: version }
      const one = connectTls({ ...options, ALPNProtocols: ['h2', 'http/1.1'] })
      const session = new Promise<Buffer>((resolve) => one.once('session', resolve))
      one.on('data', () => {})
      await once(one, 'secureConnect')
      t.same([one.getProtocol(), one.alpnProtocol], [version, 'http/1.1'])
      const two = connectTls({ ...options, session: await session })
      await once(two, 'secureConnect')
      t.equal(two.isSessionReused(), true, `${servername} ${version}`)
      two.destroy()
      if (version === 'TLSv1.2') {
        const refused = once(one, 'error')
        one.renegotiate({}, () => {})
        t.match(await refused, [{ code: 'ERR_SSL_NO_RENEGOTIATION' }], 'a client cannot renegotiate')
      }
      one.destroy()
    }
  }
})

test('both listeners: a row and a series for each certificate; a reload changes the list; the cookie is Secure', async (t) => {
  const certificates = hasOpenssl(t)
  if (!certificates) return
  const fileOf = ({ certFile, keyFile }: Certificate) => ({ cert: { file: certFile }, key: { file: keyFile } })
  const [one, two] = [certificates.make('one', 'DNS:one.example'), certificates.make('two', 'DNS:two.example')]
  const three = certificates.make('three', 'DNS:three.example')
  const { server, service } = defaultConfig('http://127.0.0.1:9') as { server: object; service: object }
  const config = {
    server: { ...server, tls: [fileOf(one), fileOf(two)] },
    service: { ...service, tls: fileOf(three) }
  }
  const gateway = await buildTestGateway(t, 'http://127.0.0.1:9', { config })
  const ask = (path: string, options: RequestOptions = {}, body = '') =>
    askTls(gateway.servicePort, path, { headers: { authorization: `Bearer ${SERVICE_TOKEN}` }, ...options }, body)
  const subjectFor = async (servername: string) => {
    const result = await handshake(gateway.port, { servername })
    return typeof result === 'string' ? result : result.subject
  }
  t.match(await ask('/v1/status'), {
    status: 200,
    json: {
      certificates: [
        { use: 'server.tls[0].cert', subject: 'CN=one', state: 'expiring' },
        { use: 'server.tls[1].cert', subject: 'CN=two' },
        { use: 'service.tls.cert', subject: 'CN=three' }
      ],
      listeners: [{ is_tls: true }, { is_tls: true }]
    }
  })
  const series = async () => (await ask('/metrics')).text.match(/certificate_expiry_timestamp_seconds\{.*?\}/g)
  const name = (listener: string, first: string) =>
    `certificate_expiry_timestamp_seconds{listener="${listener}",name="${first}"}`
  t.same((await series())?.sort(), [
    name('edge', 'one.example'),
    name('edge', 'two.example'),
    name('service', 'three.example')
  ])
  const origin = { origin: `https://127.0.0.1:${gateway.servicePort}`, 'content-type': 'application/json' }
  const signIn = { method: 'POST', headers: { ...origin, host: `127.0.0.1:${gateway.servicePort}` } }
  const signedIn = await ask('/console/session', signIn, JSON.stringify({ token: SERVICE_TOKEN }))
  t.match(signedIn.cookie, /; HttpOnly; SameSite=Strict; Secure$/)

  const { csrf } = signedIn.json as { csrf: string }
  const session = { 'x-csrf-token': csrf, cookie: signedIn.cookie?.split(';')[0] ?? '' }
  const inSession = { ...signIn, headers: { ...signIn.headers, ...session } }
  const tried = { user: 'alice', method: 'GET', path: '/nowhere' }
  t.match(
    (await ask('/console/v1/sandbox/call', inSession, JSON.stringify(tried))).json,
    { login: { status: 200 }, answer: { status: 404 } },
    'the console reaches the edge by TLS'
  )

  writeFileSync(two.certFile, 'not a certificate')
  t.match(
    await ask('/v1/status'),
    { json: { certificates: [{ subject: 'CN=one' }, { subject: 'CN=two' }, { subject: 'CN=three' }] } },
    'the certificates in use, whatever their files hold'
  )
  writeFileSync(two.certFile, two.cert)

  t.equal(await subjectFor('three.example'), 'one')
  const tls = [one, three].map(({ certFile, keyFile }) => ({ certFile, keyFile }))
  const changed = { ...gateway.config, server: { ...gateway.config.server, tls } }
  await gateway.gateway.reload(changed)
  t.same([await subjectFor('three.example'), await subjectFor('two.example')], ['three', 'one'])
  t.same((await series())?.length, 3)
  writeFileSync(three.keyFile, one.key)
  const missing = { ...changed, server: { ...changed.server, tls: tls.toReversed() } }
  await t.rejects(gateway.gateway.reload(missing), /does not belong/, 'all or nothing')
  t.equal(await subjectFor('three.example'), 'three')
  await t.rejects(gateway.gateway.reload({ ...changed, service: { ...changed.service, tls: null } }), /service\.tls/)
})

interface Answered {
  readonly status: number | undefined
  readonly text: string
  readonly json: unknown
  readonly cookie: string | undefined
}

async function askTls(port: number, path: string, options: RequestOptions, body: string): Promise<Answered> {
  const call = request({ port, path, host: '127.0.0.1', rejectUnauthorized: false, agent: false, ...options })
  call.end(body)
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  const isJson = /json/.test(response.headers['content-type'] ?? '')
  return {
    status: response.statusCode,
    text,
    json: isJson ? JSON.parse(text) : null,
    cookie: response.headers['set-cookie']?.[0]
  }
}
