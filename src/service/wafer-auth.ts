/** POST /mina_auth/: the session server of the wafer SDK. A backend sends the X-WX-Id and X-WX-Skey
 *  of a request and gets its user. X-WX-Skey is the credential. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { PUBLIC, withProblems } from '../http/endpoints/openapi.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { WaferKeys } from '../identity/wafer-keys.ts'
import { type Static, Type } from '../schema.ts'

export interface WaferAuthDeps {
  readonly waferKeys: Pick<WaferKeys, 'check'>
  readonly revocations: Pick<Revocations, 'isTrusted'>
}

const UNTRUSTED = new ApiError('store_unavailable', 'The session store has been unreachable for too long.', {
  retryAfter: 5
})

const Body = Type.Object({
  interface: Type.Object({
    interfaceName: Type.String({ maxLength: 64, description: '`qcloud.cam.auth`; any other name is refused.' }),
    para: Type.Object({
      id: Type.Optional(Type.String({ maxLength: 128, description: 'X-WX-Id of the request.' })),
      skey: Type.Optional(Type.String({ maxLength: 4096, description: 'X-WX-Skey of the request.' }))
    })
  })
})

const Answer = Type.Object(
  {
    returnCode: Type.Integer({ description: '0; 60012 for a pair that is not or no longer valid; 1010, 1003.' }),
    returnMessage: Type.String(),
    returnData: Type.Unknown({ description: 'With 0: `{"user_info":{"openId":"…"}}`.' })
  },
  { description: 'Refusals too have status 200, as the SDK expects.' }
)

const refuse = (returnCode: number, returnMessage: string) => ({ returnCode, returnMessage, returnData: '' })
const OTHER_INTERFACE = refuse(1010, 'INTERFACE_ERR')
const NO_PARAMETERS = refuse(1003, 'PARA_ERR')
const NOT_VALID = refuse(60012, 'AUTH_FAIL')

export function addWaferAuth(app: FastifyInstance, { waferKeys, revocations }: WaferAuthDeps): void {
  const schema = {
    operationId: 'checkWaferSession',
    summary: 'The user behind X-WX-Id and X-WX-Skey, for backends built on the wafer SDK',
    description: "Set it as the SDK's authServerUrl. Routes with `identity: { headers: wafer }` send the pair.",
    tags: ['operation'],
    security: PUBLIC,
    body: Body,
    response: withProblems({ 200: Answer }, ['store_unavailable'])
  }
  app.post<{ Body: Static<typeof Body> }>('/mina_auth/', { schema }, async (request) => {
    const { interfaceName, para } = request.body.interface
    if (interfaceName !== 'qcloud.cam.auth') return OTHER_INTERFACE
    if (para.id === undefined || para.skey === undefined) return NO_PARAMETERS
    if (!revocations.isTrusted) throw UNTRUSTED
    const user = waferKeys.check(para.id, para.skey)
    if (user === null) return NOT_VALID
    const { appId, openId, unionId } = user
    const userInfo = { openId, ...(unionId === null ? {} : { unionId }), watermark: { appid: appId } }
    return { returnCode: 0, returnMessage: 'AUTH_SUCCESS', returnData: { user_info: userInfo } }
  })
}
