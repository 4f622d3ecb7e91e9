/** docs/sdks.md: SDKs of WeChat that call through /wxapi of the service listener. */
import { test } from 'tap'
import { APPID, buildTestGateway, SERVICE_TOKEN } from './support/gateway.ts'
import { blocksOf, headingsOf, readDocument } from './support/markdown.ts'

const SAMPLE = 'examples/sdks/co-wechat-api.mjs'
const PAGES = ['docs/sdks.md', 'docs/sdks.zh-CN.md']

interface WechatApi {
  sendSubscribeMessage(openId: string, templateId: string, page: string, data: object): Promise<{ errcode: number }>
  getWXACodeUnlimit(scene: string, page: string): Promise<Buffer>
  uploadMedia(
    file: Buffer,
    type: string,
    name: string,
    mime: string
  ): Promise<{ echo: { path: string; query: object } }>
  getAccessToken(): Promise<unknown>
}

async function createApi(wxgate: string, serviceToken: string): Promise<WechatApi> {
  const url = new URL(`../${SAMPLE}`, import.meta.url).href
  const { createWechatApi } = (await import(url)) as { createWechatApi(options: object): WechatApi }
  return createWechatApi({ wxgate, serviceToken, appid: APPID })
}

test('co-wechat-api calls WeChat through the gateway: JSON, an image, and an upload without a length', async (t) => {
  const gateway = await buildTestGateway(t, 'http://127.0.0.1:9')
  const { user } = await gateway.login('alice')
  const { accounts } = (await (await gateway.service(`/v1/users/${user.id}`, { token: SERVICE_TOKEN })).json()) as {
    accounts: { openid: string }[]
  }
  const api = await createApi(gateway.serviceUrl, SERVICE_TOKEN)
  const sent = await api.sendSubscribeMessage(accounts[0]?.openid ?? '', 'template', 'pages/index', {
    thing1: { value: 'x' }
  })
  t.equal(sent.errcode, 0)
  const code = await api.getWXACodeUnlimit('a=1', 'pages/index')
  t.ok(Buffer.isBuffer(code) && code.length > 0)
  const uploaded = await api.uploadMedia(Buffer.alloc(100_000, 1), 'image', 'a.png', 'image/png')
  t.match(uploaded.echo, { path: '/cgi-bin/media/upload', query: { type: 'image' } })
})

test('co-wechat-api cannot get an access token, nor call with another service token', async (t) => {
  const gateway = await buildTestGateway(t, 'http://127.0.0.1:9')
  const api = await createApi(gateway.serviceUrl, SERVICE_TOKEN)
  await t.rejects(api.getAccessToken(), /403/)
  const other = await createApi(gateway.serviceUrl, 'another-service-token-0123456789')
  await t.rejects(other.getWXACodeUnlimit('a=1', 'pages/index'), /401/)
})

test('both pages show the file that is run, and have the same recipes', (t) => {
  const [english = '', chinese = ''] = PAGES.map(readDocument)
  for (const page of [english, chinese]) t.equal(blocksOf(page, 'js')[0]?.text, readDocument(SAMPLE))
  t.same(blocksOf(chinese), blocksOf(english))
  t.same(
    headingsOf(chinese).map(({ level }) => level),
    headingsOf(english).map(({ level }) => level)
  )
  t.end()
})
