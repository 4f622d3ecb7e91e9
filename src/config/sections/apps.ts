/** `wechat`, `apps`, `tokens`, `sessions` and `login`: who logs in, and what they get. */
import { Type } from 'typebox'
import { duration, lifetime, mapping, matching, oneOf, publicPem, secret, section, text } from './terms.ts'

export const appIdPattern = '^wx[0-9a-zA-Z]{4,32}$'
const appIdForm = 'an appid: wx and 4 to 32 letters or digits'
/** Short, since claims travel in every token. */
export const claimPattern = '^[A-Za-z][A-Za-z0-9_]{0,31}$'
export const claimForm = 'a claim name: a letter, then at most 31 letters, digits or "_"'

export function appId(description: string) {
  return matching(description, appIdPattern, appIdForm)
}

export const wechat = section("WeChat's server API.", {
  apiBase: Type.Optional(
    text(
      'Where it is: a URL, or the word `sandbox` for the built-in stand-in. Default: `https://api.weixin.qq.com`, or `sandbox` when every app has the secret `sandbox`.'
    )
  ),
  timeout: duration('Deadline for one call.', '5s', { min: '10ms', max: '60s' })
})

export const apps = Type.Array(
  mapping('A mini-program.', {
    appid: appId('AppID of the mini-program.'),
    name: Type.Optional(text('A name for people.')),
    secret: secret('AppSecret; the word `sandbox` marks an app that exists in the sandbox only.'),
    virtualPay: Type.Optional(
      mapping('Keys of virtual payment, for `pay_sig`.', {
        appKey: Type.Optional(secret('App key of the live environment (env 0).')),
        sandboxAppKey: Type.Optional(secret('App key of the sandbox environment (env 1).'))
      })
    ),
    push: Type.Optional(
      mapping('Message push.', {
        token: secret('Token set in the console.'),
        encodingAesKey: secret('EncodingAESKey set in the console, 43 characters.'),
        upstream: text('Upstream that receives the events.'),
        path: text('Path there.')
      })
    ),
    pay: Type.Optional(
      mapping('WeChat Pay of a merchant, API v3.', {
        mchid: matching(
          'Merchant number; in quotes, since it is text.',
          '^[0-9]{4,32}$',
          'a merchant number: 4 to 32 digits in quotes'
        ),
        serialNo: text('Serial number of the merchant certificate.'),
        privateKey: secret('Private key of the merchant in PEM.'),
        apiV3Key: secret('APIv3 key, 32 characters.'),
        upstream: text('Upstream that receives the payment results.'),
        path: text('Path there.'),
        platformKeys: Type.Array(
          mapping('A public key of WeChat Pay.', {
            serial: text('Serial number, such as PUB_KEY_ID_0110….'),
            publicKey: publicPem('The key in PEM.')
          }),
          { description: 'Keys that payment results are verified with.', minItems: 1, maxItems: 64 }
        )
      })
    )
  }),
  { description: 'The mini-programs.', minItems: 1, maxItems: 1024 }
)

export const tokens = section('The tokens that a mini-program gets.', {
  issuer: text('Claim `iss`.', 'wxgate'),
  algorithm: oneOf(
    'How access tokens are signed. With `EdDSA` and `ES256` the public keys are at `/.well-known/jwks.json`.',
    ['HS256', 'EdDSA', 'ES256'],
    'HS256'
  ),
  accessTtl: lifetime('Life of an access token.', '2h'),
  refreshTtl: lifetime('Life of a refresh token; each refresh starts it again.', '30d'),
  refreshMaxTtl: lifetime('Longest life of a session, however often it is refreshed.', '180d'),
  openid: oneOf(
    '`sealed` encrypts the openid inside the token; `plain` lets the client read it.',
    ['sealed', 'plain'],
    'sealed'
  )
})

export const sessions = section('What is kept of a login.', {
  sessionKeyTtl: lifetime('After this time a new login is asked for before session_key is used again.', '2h'),
  storeGrace: duration('Valid tokens go on being accepted this long while the store cannot be reached.', '5m', {
    max: '1d'
  })
})

export const login = section('What happens at a login.', {
  hook: Type.Optional(
    mapping('A call to a business service at every login, which may add claims to the token.', {
      upstream: text('Upstream that is called.'),
      path: text('Path there.'),
      timeout: duration('Deadline for the call.', '3s', { min: '10ms', max: '60s' }),
      onFailure: oneOf('What a login does when the call fails.', ['refuse', 'continue'], 'refuse'),
      claims: Type.Array(matching('Claim name.', claimPattern, claimForm), {
        description: 'Claims that the service may set.',
        default: [],
        maxItems: 32,
        uniqueItems: true
      })
    })
  )
})
