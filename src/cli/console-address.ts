/** The address of the console with a one-time link, for the person who started the gateway. */
import type { RunningGateway } from './start.ts'

/** A line of the welcome text; empty without a console. The link is in the fragment of the address,
 *  which reaches no server and no log. */
export function describeConsole({ gateway, serviceUrl }: RunningGateway): string {
  const { config, consoleLinks } = gateway.parts
  if (!config.service.console) return ''
  return `  console          ${serviceUrl}/console/#link=${consoleLinks.create()}   (once, within ten minutes)\n`
}
