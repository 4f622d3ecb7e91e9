/** `service`: the private listener for backends and operators. */
import { isLoopback, isSameListener } from '../../http/addresses.ts'
import { type Static, Type } from '../../schema.ts'
import { checkListenerTls, listenerTls, resolveListenerTls } from '../listener-tls.ts'
import { pathFault } from '../path-fault.ts'
import type { Path } from '../problem.ts'
import { checkStrength } from '../secret-text.ts'
import {
  type DeepReadonly,
  type Draft,
  entries,
  type RuleContext,
  reportRepeats,
  warnUnlessAllowed
} from '../section.ts'
import { flag, host, hostName, mapping, matching, port, secret, section, someOf, text, wxapiLimit } from '../terms.ts'
import { type AppsDraft, appId, reportUnknownApps, resolveWxapiLimit } from './apps.ts'
import type { ServerDraft } from './server.ts'

export const service = section(
  'The private listener for backends and operators. It must not be reachable from the internet.',
  {
    host: host('127.0.0.1', 'WXGATE_SERVICE_HOST'),
    port: port(9090, 'WXGATE_SERVICE_PORT'),
    tokens: Type.Array(
      mapping('A caller.', {
        name: matching(
          'Name of the caller, for the audit log.',
          '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$',
          'a name of letters, digits, "-", "_" and "."'
        ),
        token: secret('The caller sends it as `Authorization: Bearer`; at least 16 characters.'),
        scopes: someOf('Calls that the caller may make.', ['session', 'wxapi', 'pay', 'admin']),
        apps: Type.Optional(
          Type.Array(appId('AppID.'), {
            description: 'Apps that the caller may ask about. Default: every app.',
            minItems: 1,
            uniqueItems: true
          })
        ),
        wxapi: Type.Optional(
          Type.Array(text('A path, and all below it.'), {
            description:
              "Paths of WeChat's API that the caller may call, such as `/wxa/msg_sec_check`. Default: every path.",
            minItems: 1,
            uniqueItems: true
          })
        ),
        wxapiLimit: wxapiLimit("Calls of this caller to WeChat's API, for each mini-program.", 256)
      }),
      { description: 'The callers. Without any, `/v1` and `/wxapi` answer 401.', default: [], maxItems: 1024 }
    ),
    hosts: Type.Array(hostName('A name or an address, without a port.'), {
      description:
        'Further accepted Host names. Loopback names, `host` and the address of the connection are always accepted.',
      default: [],
      maxItems: 1024
    }),
    tls: listenerTls('TLS on the service listener.'),
    console: flag('Serve the web console at `/console/`, for tokens with the scope admin.', true)
  }
)

export type ServiceDraft = Draft<{ service: Static<typeof service> }>
export type ServiceConfig = DeepReadonly<ReturnType<typeof resolveService>>
export type ServiceScope = ServiceConfig['tokens'][number]['scopes'][number]

const SHORTEST_TOKEN = 16

export function checkService(draft: ServiceDraft & ServerDraft & AppsDraft, context: RuleContext): void {
  checkAddress(draft, context)
  checkListenerTls(draft.service?.tls, ['service', 'tls'], context)
  checkTokens(draft, context)
  checkNarrowing(draft, context)
}

function checkAddress({ server, service }: ServiceDraft & ServerDraft, context: RuleContext): void {
  const { host, port } = service ?? {}
  if (host !== undefined && !isLoopback(host)) {
    const message = 'the service listener can be reached from other machines: keep it out of reach of the internet'
    warnUnlessAllowed(context, ['service', 'host'], message, 'service-public')
  }
  if (port === undefined || port === 0 || host === undefined || server?.host === undefined) return
  if (!isSameListener(server.host, host)) return
  const key = port === server.port ? 'port' : port === server.redirectHttp?.port ? 'redirectHttp.port' : null
  if (key !== null) context.report.error(['service', 'port'], `is the port of the public edge (server.${key})`)
}

function checkTokens(draft: ServiceDraft, { report }: RuleContext): void {
  const tokens = entries(draft.service?.tokens)
  const pathOf = (index: number, key: string): Path => ['service', 'tokens', index, key]
  reportRepeats(
    tokens.map(([index, { name }]) => [pathOf(index, 'name'), name]),
    (line) => `is the name of another token, on line ${line}`,
    report
  )
  reportRepeats(
    tokens.map(([index, { token }]) => [pathOf(index, 'token'), token]),
    (line) => `is the same as the one on line ${line}`,
    report
  )
  for (const [index, { token }] of tokens) {
    if (token === undefined) continue
    const path = pathOf(index, 'token')
    // RFC 6750, section 2.1: the characters that can follow "Bearer" in a header.
    if (!/^[\x21-\x7e]+$/.test(token)) report.error(path, 'must be printable ASCII without spaces')
    else checkStrength(token, SHORTEST_TOKEN, path, report)
  }
}

/** Lists that narrow a token further. */
function checkNarrowing(draft: ServiceDraft & AppsDraft, { report }: RuleContext): void {
  for (const [index, { apps, wxapi, scopes }] of entries(draft.service?.tokens)) {
    const path: Path = ['service', 'tokens', index]
    reportUnknownApps(apps, [...path, 'apps'], draft, report)
    if (wxapi !== undefined && scopes !== undefined && !scopes.includes('wxapi')) {
      report.error([...path, 'wxapi'], 'has no effect: the token lacks the scope wxapi')
    }
    for (const [place, text] of entries(wxapi)) {
      const fault = pathFault(text)
      if (fault !== null) report.error([...path, 'wxapi', place], fault.message, fault.hint)
    }
  }
}

export function resolveService({ host, port, tokens, hosts, tls, console }: Static<typeof service>, directory: string) {
  return {
    host,
    port,
    /** `apps` and `wxapi`: null for no limit. */
    tokens: tokens.map(({ apps = null, wxapi = null, wxapiLimit, ...token }) => ({
      ...token,
      apps,
      wxapi,
      wxapiLimit: resolveWxapiLimit(wxapiLimit)
    })),
    hosts,
    tls: resolveListenerTls(tls, directory),
    console
  }
}
