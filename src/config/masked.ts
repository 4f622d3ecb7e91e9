/** The configuration without its secrets, for an operator. */
import type { GatewayConfig } from './config.ts'
import type { AppConfig } from './sections/apps.ts'

/** Replaces a secret. */
export const MASK = '***'

/** The shape of the configuration; texts that may hold a secret are {@link MASK}. A new secret of a
 *  section is masked here, and a test compares the result with the schema. */
export function maskConfig(config: GatewayConfig): object {
  const { service, wechat, store, login, secrets, apps, telemetry, upstreams, routes, ...rest } = config
  return {
    ...rest,
    service: { ...service, tokens: service.tokens.map((token) => ({ ...token, token: MASK })) },
    secrets: secrets.map(() => MASK),
    wechat: { ...wechat, proxy: wechat.proxy && maskUrl(wechat.proxy) },
    apps: apps.map(maskApp),
    login,
    store: maskUrl(store),
    telemetry: { otlp: telemetry.otlp && { ...telemetry.otlp, headers: maskValues(telemetry.otlp.headers) } },
    upstreams: upstreams.map(({ headers, tls, ...upstream }) => ({
      ...upstream,
      headers: maskValues(headers),
      tls: { ...tls, ca: tls.ca && MASK, cert: tls.cert && MASK, key: tls.key && MASK }
    })),
    // A header that a route sets may be the gateway's own credential towards a backend.
    routes: routes.map(({ requestHeaders, responseHeaders, variants, ...route }) => ({
      ...route,
      requestHeaders: { ...requestHeaders, set: maskValues(requestHeaders.set) },
      responseHeaders: { ...responseHeaders, set: maskValues(responseHeaders.set) },
      variants: variants.map((variant) => ({ ...variant, header: maskValues(variant.header) }))
    }))
  }
}

function maskApp({ push, apiSignature, virtualPay, pay, ...app }: AppConfig): object {
  return {
    ...app,
    secret: MASK,
    push: push && { ...push, token: MASK, encodingAesKey: push.encodingAesKey && MASK },
    apiSignature: apiSignature && {
      ...apiSignature,
      symmetricKey: MASK,
      privateKey: MASK,
      platformKeys: apiSignature.platformKeys.map((key) => ({ ...key, publicKey: MASK }))
    },
    virtualPay: virtualPay && {
      appKey: virtualPay.appKey && MASK,
      sandboxAppKey: virtualPay.sandboxAppKey && MASK
    },
    pay: pay && {
      ...pay,
      privateKey: MASK,
      apiV3Key: MASK,
      apiV2Key: pay.apiV2Key && MASK,
      platformKeys: pay.platformKeys.map((key) => ({ ...key, publicKey: MASK }))
    }
  }
}

function maskValues(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.keys(values).map((name) => [name, MASK]))
}

/** Masks user, password and query of a URL: a store takes credentials in all three. */
function maskUrl(url: string): string {
  return url.replace(/\/\/[^/]*@/, `//${MASK}@`).replace(/\?.*$/s, `?${MASK}`)
}
