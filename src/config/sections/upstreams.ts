/** `upstreams`: named groups of targets. */
import { Type } from 'typebox'
import {
  duration,
  flag,
  integer,
  mapping,
  matching,
  oneOf,
  percentage,
  publicPem,
  secret,
  section,
  someOf,
  text
} from './terms.ts'

export const upstreamNamePattern = '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'

const upstream = mapping('A group of targets that are alike.', {
  targets: Type.Array(
    mapping('One server.', {
      url: text('Origin such as http://10.0.0.5:3000: scheme, host, port, and nothing else.'),
      weight: integer('Share of the requests, compared with the other targets.', 1, 1000, 1)
    }),
    { description: 'Where requests go.', minItems: 1, maxItems: 1024 }
  ),
  balance: oneOf(
    'How a target is picked; `hash` sends a user to the same one.',
    ['roundRobin', 'leastRequests', 'hash'],
    'roundRobin'
  ),
  healthCheck: Type.Optional(
    mapping('Ask the targets how they are.', {
      path: text('Path that is asked for.', '/healthz'),
      interval: duration('Time between two questions.', '5s', { min: '100ms', max: '1h' }),
      timeout: duration('Deadline for an answer.', '1s', { min: '10ms', max: '1h' }),
      healthyAfter: integer('Good answers in a row that bring a target back.', 1, 100, 2),
      unhealthyAfter: integer('Bad answers in a row that take a target out.', 1, 100, 3)
    })
  ),
  timeouts: section('Deadlines.', {
    connect: duration('Time to connect, TLS included.', '2s', { min: '1ms', max: '1h' }),
    response: duration('Time from the request to the head of the response.', '30s', { min: '1ms' }),
    idle: duration('A response body or a WebSocket may pause this long.', '60s', { min: '1ms' })
  }),
  retries: section('Trying again elsewhere.', {
    attempts: integer('Further tries after the first.', 0, 10, 1),
    on: someOf('What is tried again.', ['connect', 'reset', '502', '503', '504'], ['connect']),
    budget: Type.Optional(percentage('Tries again may be at most this share of all requests.'))
  }),
  circuitBreaker: Type.Optional(
    mapping('Leave a failing target alone for a while.', {
      errorRate: percentage('Share of failed requests that opens the breaker.', '50%'),
      minRequests: integer('Requests in a window before the share counts.', 1, 1_000_000, 20),
      window: duration('Time over which requests are counted.', '10s', { min: '1s', max: '1h' }),
      openFor: duration('Time until one request is let through to try.', '10s', { min: '100ms', max: '1h' })
    })
  ),
  tls: section('For targets with https.', {
    ca: Type.Optional(publicPem('Certificates in PEM that are trusted in place of the public ones.')),
    cert: Type.Optional(publicPem('Client certificate in PEM.')),
    key: Type.Optional(secret('Key of the client certificate in PEM.')),
    serverName: Type.Optional(
      matching(
        'Name that the certificate must have, in place of the host of the URL.',
        '^[A-Za-z0-9._-]{1,253}$',
        'a host name'
      )
    ),
    insecureSkipVerify: flag('Accept any certificate. Whoever is in between reads and changes everything.', false)
  })
})

export const upstreams = Type.Record(Type.String({ pattern: upstreamNamePattern }), upstream, {
  description: 'Groups of targets, by name.',
  additionalProperties: false,
  'x-keys': 'not a valid name: letters, digits, "-", "_" and ".", at most 64'
})
