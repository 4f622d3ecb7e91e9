/** `routes`: path, upstream and access. */
import { Type } from 'typebox'
import { appId, claimForm, claimPattern } from './apps.ts'
import {
  duration,
  flag,
  headerMap,
  limit,
  mapping,
  matching,
  oneOf,
  section,
  size,
  text,
  tokenPattern
} from './terms.ts'

function headerEdits(description: string) {
  return section(description, {
    set: headerMap('Headers to set, by name.', 'Value of the header.'),
    remove: Type.Array(matching('Header name.', tokenPattern, 'a header name'), {
      description: 'Headers to remove.',
      default: [],
      maxItems: 128
    })
  })
}

export const routes = Type.Array(
  mapping('A route. The longest matching path wins.', {
    path: text('Prefix on segment boundaries: `/api` covers `/api` and `/api/x`, not `/apis`.'),
    methods: Type.Optional(
      Type.Array(matching('HTTP method.', '^[A-Z][A-Z-]{0,31}$', 'an HTTP method in capitals'), {
        description: 'Methods of the route. Default: all.',
        minItems: 1,
        uniqueItems: true
      })
    ),
    upstream: text('Name of the upstream.'),
    auth: oneOf(
      '`required`: an acceptable token, or 401. `optional`: without a token forwarded without identity. `public`: never looks at the token.',
      ['required', 'optional', 'public'],
      'required'
    ),
    apps: Type.Optional(
      Type.Array(appId('AppID.'), {
        description: 'Apps whose tokens are accepted. Default: every app.',
        minItems: 1,
        uniqueItems: true
      })
    ),
    stripPrefix: Type.Optional(text('Beginning of the path that the upstream does not get to see.')),
    timeout: Type.Optional(
      duration("Time to the head of the response. Default: the upstream's `timeouts.response`.", undefined, {
        min: '1ms'
      })
    ),
    bodyLimit: Type.Optional(size('Longest request body. Default: `server.limits.body`.')),
    rateLimit: Type.Optional(
      mapping(
        'How often one caller may call.',
        limit(['user', 'ip'], 'Counted per user, over all sessions, or per client address.')
      )
    ),
    requestHeaders: headerEdits('Changes to the headers that the upstream gets.'),
    responseHeaders: headerEdits('Changes to the headers that the client gets.'),
    identity: section('How the upstream learns who it is.', {
      headers: oneOf(
        'Names of the headers: ours (`X-OpenId`), or those of WeChat Cloud Run (`X-WX-OPENID`).',
        ['wxgate', 'cloudrun'],
        'wxgate'
      )
    }),
    allow: section('Readings of a path that are refused unless the upstream needs them.', {
      encodedSlash: flag('`%2F` inside a segment.', false),
      matrixParams: flag('`;name=value` after a segment.', false),
      doubleEncoding: flag('`%25` followed by two hex digits.', false)
    }),
    caseSensitive: flag(
      'The upstream tells upper from lower case. Unless it does, a path that differs from a stricter route only in case is held to the stricter one.',
      false
    ),
    openData: flag('Decrypt `encryptedData` and `iv` of a JSON body on the way.', false),
    require: Type.Record(
      Type.String({ pattern: claimPattern }),
      Type.Array(text('An accepted value.'), { description: 'Accepted values.', minItems: 1, uniqueItems: true }),
      {
        description: 'Claims of the login hook that the caller must have, each with one of the values listed.',
        additionalProperties: false,
        default: {},
        'x-keys': `not ${claimForm}`
      }
    ),
    inject: headerMap('Headers that carry a claim of the login hook, header name to claim name.', 'Name of the claim.')
  }),
  { description: 'Which paths go where, and who may call them.', maxItems: 10_000 }
)
