/** Checks requests against the schemas of their endpoints. The schemas are constants of their
 *  modules, so each is compiled once in a process and not again at a reload. */
import { Ajv, type ValidateFunction } from 'ajv'

// Converts no value to another type, drops no unknown member and stops at the first fault. A test
// checks the schemas themselves; without that check and the optimizer a start is quicker.
const ajv = new Ajv({
  useDefaults: true,
  addUsedSchema: false,
  validateSchema: false,
  meta: false,
  code: { optimize: false }
})

export function compileSchema({ schema }: { schema: object }): ValidateFunction {
  return ajv.compile(schema)
}
