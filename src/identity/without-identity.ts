/** Removes the members that name a user from data that a client gets. */

/** The data without openId and unionId, in every spelling of their names. */
export function withoutIdentity(data: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(data).filter(([name]) => !/^(?:open|union)[_-]?id$/i.test(name)))
}
