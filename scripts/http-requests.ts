/** Writes the OpenAPI documents as requests of an .http file, which editors can send (VS Code with
 *  REST Client, IntelliJ). */

interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly enum?: readonly unknown[]
}

interface Operation {
  readonly summary: string
  readonly security?: readonly Readonly<Record<string, unknown>>[]
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly required?: boolean }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const HEAD = `# Every endpoint of wxgate, for editors that send .http files. Generated from docs/openapi by "npm run generate".
# Start "npm start" first. The service token is the one of your gateway.yaml.
@edge = http://127.0.0.1:8080
@service = http://127.0.0.1:9090
@serviceToken = change-me-to-a-service-token
@appid = wxsandbox00000001
@openid = change-me
@userId = u_change-me
`

/** Values of path parameters. */
const PATH_VALUES: Readonly<Record<string, string>> = {
  appid: '{{appid}}',
  openid: '{{openid}}',
  id: '{{userId}}',
  sid: 'change-me',
  path: 'wxa/msg_sec_check'
}

/** Values of body members and queries by name. */
const VALUES: Readonly<Record<string, unknown>> = {
  appid: '{{appid}}',
  openid: '{{openid}}',
  refresh_token: '{{login.response.body.refresh_token}}',
  interfaceName: 'qcloud.cam.auth'
}

/** Bodies whose schema leaves open what is useful. */
const BODIES: Readonly<Record<string, unknown>> = {
  '/auth/login': { code: 'sandbox-alice' },
  '/auth/open-data': { encryptedData: 'change-me', iv: 'change-me' },
  '/auth/phone': { code: 'sandbox-phone-13800000000' },
  '/wechat/prefetch/{appid}': { code: 'sandbox-alice', path: 'pages/index' },
  '/v1/apps/{appid}/quotas': { paths: ['/wxa/msg_sec_check'] },
  '/v1/pay/request': { appid: '{{appid}}', method: 'GET', path: '/v3/certificates' },
  '/wxapi/{appid}/{path}': { content: 'hello', version: 2, scene: 2, openid: '{{openid}}' }
}

export function httpRequests(edge: string, service: string): string {
  const parts = [requestsOf('edge', edge), requestsOf('service', service)]
  return `${HEAD}\n${parts.join('\n')}`
}

function requestsOf(base: 'edge' | 'service', text: string): string {
  const { paths } = JSON.parse(text) as Document
  const requests = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => requestOf(base, method.toUpperCase(), path, operation))
  )
  return requests.join('\n')
}

function requestOf(base: string, method: string, path: string, operation: Operation): string {
  const { summary, parameters = [], security = [{}] } = operation
  const values = path.startsWith('/v1/push/') ? { id: 'push.change-me.1' } : PATH_VALUES
  const filled = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => new Map(Object.entries(values)).get(name) ?? '')
  const query = parameters
    .filter((parameter) => parameter.in === 'query' && parameter.required)
    .map(({ name }) => `${name}=${VALUES[name] ?? 'change-me'}`)
  const credential = base === 'edge' ? '{{login.response.body.access_token}}' : '{{serviceToken}}'
  const isVerify = path === '/auth/verify'
  const bearer = isVerify ? '{{login.response.body.access_token}}' : credential
  const isOpen = !isVerify && (security.length === 0 || security.some((one) => Object.keys(one).length === 0))
  const body = bodyOf(path, operation)
  return [
    `### ${base}: ${summary}`,
    ...(path === '/auth/login' ? ['# @name login'] : []),
    `${method} {{${base}}}${filled}${query.length === 0 ? '' : `?${query.join('&')}`}`,
    ...(isOpen ? [] : [`Authorization: Bearer ${bearer}`]),
    ...(body === null ? [] : ['Content-Type: application/json', '', body]),
    ''
  ].join('\n')
}

function bodyOf(path: string, { requestBody }: Operation): string | null {
  const [content] = Object.values(requestBody?.content ?? {})
  return content === undefined ? null : JSON.stringify(BODIES[path] ?? exampleOf(content.schema), null, 2)
}

function exampleOf(schema: Schema, name = ''): unknown {
  if (Object.hasOwn(VALUES, name)) return VALUES[name]
  if (schema.enum !== undefined) return schema.enum[0]
  if (schema.properties !== undefined) {
    const names = schema.required ?? Object.keys(schema.properties)
    return Object.fromEntries(names.map((one) => [one, exampleOf(schema.properties?.[one] ?? {}, one)]))
  }
  return schema.type === 'boolean' ? false : 'change-me'
}
