/** Loaded before every test file (.taprc): what was compiled for one file is not compiled again for the next. */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

enableCompileCache(join(import.meta.dirname, '../../node_modules/.cache/tests'))
