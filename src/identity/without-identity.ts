/** Removes openId and unionId, in every spelling of their names, from data that a client
 *  receives. */

export function withoutIdentity(data: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(data).filter(([name]) => !/^(?:open|union)[_-]?id$/i.test(name)))
}
