/** Runs code as a mini-program does: CommonJS modules, a `wx`, timers, and only the JavaScript
 *  of the oldest supported phone: ECMAScript 5 and Promise. */
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { createContext, runInContext, Script } from 'node:vm'
import type { createClient, isWxgateError, Wx } from '../../miniprogram/miniprogram_dist/index.d.ts'

export const CLIENT = join(import.meta.dirname, '../../miniprogram/miniprogram_dist')

/** Packages that code may require by name. */
const packages: Record<string, string> = { 'wxgate-miniprogram': CLIENT }

/** Removes what is not in ECMAScript 5 or among the globals of a mini-program. */
const REMOVE_NEWER = `(function () {
  var keep = ('Object Function Array String Boolean Number Date RegExp Error EvalError RangeError ReferenceError ' +
    'SyntaxError TypeError URIError Math JSON Promise ArrayBuffer Uint8Array parseInt parseFloat isNaN isFinite ' +
    'decodeURI decodeURIComponent encodeURI encodeURIComponent undefined NaN Infinity eval').split(' ');
  Object.getOwnPropertyNames(globalThis).forEach(function (name) {
    if (keep.indexOf(name) < 0 && name !== 'globalThis') delete globalThis[name];
  });
  var newer = [
    [Array, 'from of'], [Array.prototype, 'find findIndex findLast includes fill flat flatMap at entries keys values'],
    [String.prototype, 'includes startsWith endsWith repeat padStart padEnd replaceAll matchAll at trimStart trimEnd'],
    [Object, 'assign entries values fromEntries getOwnPropertySymbols is setPrototypeOf hasOwn'],
    [Number, 'isInteger isFinite isNaN isSafeInteger parseInt parseFloat'],
    [Promise, 'allSettled any withResolvers try'], [Promise.prototype, 'finally']
  ];
  newer.forEach(function (pair) { pair[1].split(' ').forEach(function (name) { delete pair[0][name]; }); });
  delete globalThis.globalThis;
})()`

export interface MiniProgramOptions {
  /** Folder that holds the code. */
  readonly root: string
  readonly wx: Wx | undefined
  /** Globals such as App and Page. */
  readonly globals?: Readonly<Record<string, unknown>>
  /** Exports of modules that replace files, by their path below the root, or packages, by their
   *  name. */
  readonly modules?: Readonly<Record<string, unknown>>
  /** Texts of modules that replace files, by their path below the root. */
  readonly sources?: Readonly<Record<string, string>>
}

export interface MiniProgram {
  /** Loads a module by its path below the root. */
  load(path: string): unknown
  /** Arguments of each call of console. */
  readonly logged: unknown[][]
  /** Milliseconds by which the phone's clock is wrong. */
  clockError: number
}

export function startMiniProgram({
  root,
  wx,
  globals = {},
  modules = {},
  sources = {}
}: MiniProgramOptions): MiniProgram {
  const logged: unknown[][] = []
  const log = (...values: unknown[]) => void logged.push(values)
  const context = createContext({})
  runInContext(REMOVE_NEWER, context)
  const loaded = new Map<string, { exports: unknown }>()
  const program: MiniProgram = { load: (path) => load(join(root, path)), logged, clockError: 0 }
  Object.assign(context, {
    wx,
    setTimeout,
    clearTimeout,
    setInterval,
    clearInterval,
    console: { log, info: log, warn: log, error: log, debug: log },
    phoneNow: () => Date.now() + program.clockError,
    ...globals
  })
  runInContext('Date.now = phoneNow; delete globalThis.phoneNow'.replace('globalThis', 'this'), context)

  function load(file: string): unknown {
    const below = relative(root, file)
    if (below in modules) return modules[below]
    const known = loaded.get(file)
    if (known) return known.exports
    const module = { exports: {} as unknown }
    loaded.set(file, module)
    const text = sources[below] ?? readFileSync(file, 'utf8')
    const source = `(function (require, module, exports) {${text}\n})`
    const run = new Script(source, { filename: file }).runInContext(context) as (...given: unknown[]) => void
    const require = (name: string) => {
      if (name in modules) return modules[name]
      const path = name.startsWith('.') ? join(dirname(file), name) : join(packages[name] ?? '', 'index')
      return load(path.endsWith('.js') ? path : `${path}.js`)
    }
    run(require, module, module.exports)
    return module.exports
  }

  return program
}

export interface ClientModule {
  createClient: typeof createClient
  isWxgateError: typeof isWxgateError
}

/** Starts a mini-program that holds the client alone.
 *  @param globals Replace those of the mini-program, its timers for example. */
export function startClient(wx?: Wx, globals: Readonly<Record<string, unknown>> = {}): MiniProgram & ClientModule {
  const program = startMiniProgram({ root: CLIENT, wx, globals })
  return Object.assign(program, program.load('index.js') as ClientModule)
}
