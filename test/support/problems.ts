/** Checks the common form of errors from outside. */
import type { Test } from 'tap'
import { type Action, catalogue, type ErrorCode } from '../../src/errors.ts'

/** Fails unless the response is this problem in every part that clients rely on. */
export async function isProblem(t: Test, response: Response, code: ErrorCode, message: string = code): Promise<void> {
  const text = await response.text()
  const { status, action } = catalogue[code]
  t.equal(response.status, status, `${message}: status`)
  t.match(response.headers.get('content-type'), /^application\/problem\+json/, `${message}: type`)
  t.equal(response.headers.get('cache-control'), 'no-store', `${message}: not to be stored`)
  t.match(parse(text), { code, status, action: action as Action, type: `urn:wxgate:error:${code}` }, `${message}: body`)
  t.match(parse(text), { title: /./, detail: /./, request_id: /^[\w-]{8,}/ }, `${message}: texts`)
  const after = response.headers.get('retry-after')
  if (action === 'retry') t.match(after, /^[1-9]\d*$/, `${message}: Retry-After`)
  const challenge = response.headers.get('www-authenticate')
  t.equal(challenge !== null, status === 401, `${message}: WWW-Authenticate with 401 and only then`)
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return { text }
  }
}
