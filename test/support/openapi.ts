/** Reads the OpenAPI documents of a gateway, and compares answers with them. */
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { TestGateway } from './gateway.ts'

export interface Media {
  readonly schema: Record<string, unknown>
}
export interface Operation {
  readonly operationId: string
  readonly summary?: string
  readonly description?: string
  readonly tags?: readonly string[]
  readonly security?: readonly Record<string, readonly string[]>[]
  readonly requestBody?: { readonly required: boolean; readonly content: Record<string, Media> }
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly responses: Record<string, { readonly description: string; readonly content?: Record<string, Media> }>
}
export interface Document {
  readonly openapi: string
  readonly tags: readonly { readonly name: string }[]
  readonly components: {
    readonly schemas: Record<string, unknown>
    readonly securitySchemes: Record<string, unknown>
  }
  readonly paths: Record<string, Record<string, Operation>>
}

export type Listener = 'edge' | 'service'

export async function readDocument(gateway: TestGateway, listener: Listener): Promise<Document> {
  return (await (await gateway.service(`/openapi/${listener}.json`)).json()) as Document
}

/** Every operation with its name, such as `GET /livez`. */
export function operationsOf({ paths }: Document): [string, Operation][] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation
    ])
  )
}

/** `check` returns the rule of the document that an answer breaks, or null. */
export function createChecker(document: Document) {
  const ajv = new Ajv2020({ strict: false })
  ajv.addSchema({ $id: 'document', components: document.components })
  const checked = new Set<string>()

  async function check(method: string, path: string, response: Response): Promise<string | null> {
    const operation = document.paths[path]?.[method.toLowerCase()]
    if (!operation) return `${method} ${path} is not in the document`
    const described = operation.responses[response.status]
    if (!described) return `${method} ${path} does not document ${response.status}`
    const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? ''
    const text = await response.text()
    if (described.content === undefined) return text === '' ? null : `${response.status} should have no content`
    const media = described.content[type]
    if (!media) return `${method} ${path} ${response.status} does not document ${type}`
    const schema = JSON.parse(JSON.stringify(media.schema).replaceAll('"#/components', '"document#/components'))
    const isJson = type.endsWith('json')
    if (!ajv.validate(schema, isJson ? JSON.parse(text) : text)) return `${method} ${path}: ${ajv.errorsText()}`
    checked.add(`${method} ${path}`)
    return null
  }

  return { check, checked }
}
