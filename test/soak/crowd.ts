/** A program: `node crowd.ts PORT PATH COUNT` opens COUNT connections with one request each, and
 *  prints the number of each outcome as JSON. */
import { sendCrowd } from '../support/volume.ts'

const [port, path = '/', count] = process.argv.slice(2)
const crowd = sendCrowd(Number(port), path, Number(count))
await crowd.over
process.stdout.write(JSON.stringify(crowd.outcomes))
