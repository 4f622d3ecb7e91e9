/** Sends an answer, or applies a fault to it. */
import type { ServerResponse } from 'node:http'
import type { Answer } from './answers.ts'
import { bend, type Fault, isShape, type LostFault, type ShapeFault } from './faults.ts'

const DRIP_PAUSE = 100
const HUGE = 5 * 1024 * 1024
const HTML = { contentType: 'text/html', body: '<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>' }

/** Returns at once. Slow answers continue until they are sent or the caller disconnects. */
export function deliver(response: ServerResponse, answer: Answer, fault: Fault | null): void {
  if (response.destroyed) return
  if (fault === null) send(response, answer)
  else if (isShape(fault)) sendBent(response, answer, fault.kind)
  else if (fault.kind === 'slow') sendLater(response, answer, fault.ms)
  else if (fault.kind === 'status') send(response, { ...answer, ...HTML, status: fault.status })
  else FAULTY[fault.kind](response, answer)
}

const FAULTY: Readonly<Record<LostFault | 'errcode', (response: ServerResponse, answer: Answer) => void>> = {
  errcode: send,
  drip,
  hang: () => {},
  html: (response, answer) => send(response, { ...answer, ...HTML }),
  empty: (response, answer) => send(response, { ...answer, contentType: 'text/html; charset=gbk', body: '' }),
  huge: (response, answer) => send(response, { ...answer, body: `{"errcode":0,"errmsg":"${'x'.repeat(HUGE)}"}` }),
  array: (response, answer) => send(response, { ...answer, body: `[${answer.body.toString()}]` }),
  garbage: (response) => response.socket?.end('%%% not HTTP %%%\r\n\r\n'),
  reset: (response) => response.socket?.resetAndDestroy(),
  truncated(response, answer) {
    response.writeHead(200, { 'content-type': answer.contentType, 'content-length': 1000 })
    response.write('{"errcode":0,"er')
    setImmediate(() => response.destroy())
  }
}

function sendBent(response: ServerResponse, answer: Answer, shape: ShapeFault): void {
  const contentType = shape === 'json-type' ? 'application/json' : answer.contentType
  const isGood = typeof answer.body === 'string' && answer.errcode === 0
  send(response, isGood ? { ...answer, body: bend(shape, answer.body.toString()), contentType } : answer)
}

function sendLater(response: ServerResponse, answer: Answer, ms: number): void {
  const timer = setTimeout(() => send(response, answer), ms)
  response.once('close', () => clearTimeout(timer))
}

function send(response: ServerResponse, answer: Answer): void {
  if (response.destroyed || response.headersSent) return
  const hasNoBody = answer.status === 204 || answer.status === 304
  const body = hasNoBody ? '' : answer.body
  response.writeHead(answer.status, {
    ...answer.headers,
    'content-type': answer.contentType,
    ...(hasNoBody ? {} : { 'content-length': Buffer.byteLength(body) })
  })
  response.end(body)
}

function drip(response: ServerResponse, answer: Answer): void {
  const body = Buffer.from(answer.body)
  let sent = 0
  response.writeHead(answer.status, { 'content-type': answer.contentType, 'content-length': body.length })
  response.flushHeaders()
  const timer = setInterval(() => {
    response.write(body.subarray(sent, sent + 1))
    sent += 1
    if (sent < body.length) return
    clearInterval(timer)
    response.end()
  }, DRIP_PAUSE)
  response.once('close', () => clearInterval(timer))
}
