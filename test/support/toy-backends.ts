/** Small models of how servers read the path of a request, each as lenient as a real one is or
 *  was. They share no code with the gateway. */

export interface ToyBackend {
  readonly name: string
  /** True when it reads "/Admin" as "/admin". */
  readonly ignoresCase: boolean
  /** The path by which it would choose a handler; null when it refuses the request. */
  read(target: string): string | null
}

/** Without the query. */
const pathOf = (target: string) => target.split('?', 1)[0] ?? ''

/** Each triplet by itself: other text stays. */
function percentDecode(text: string): string {
  const bytes: number[] = []
  for (let index = 0; index < text.length; index++) {
    const hex = text.slice(index + 1, index + 3)
    if (text[index] === '%' && /^[0-9a-f]{2}$/i.test(hex)) {
      bytes.push(Number.parseInt(hex, 16))
      index += 2
    } else {
      bytes.push(...Buffer.from(text[index] ?? '', 'utf8'))
    }
  }
  return Buffer.from(bytes).toString('utf8')
}

/** RFC 3986, section 5.2.4, on segments; null when the path climbs above its root. */
function resolveDots(path: string): string | null {
  const result: string[] = []
  const segments = path.split('/').slice(1)
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1
    if (segment === '..') {
      if (result.pop() === undefined) return null
      if (isLast) result.push('')
    } else if (segment === '.') {
      if (isLast) result.push('')
    } else {
      result.push(segment)
    }
  }
  return `/${result.join('/')}`
}

const mergeSlashes = (path: string) => path.replace(/\/{2,}/g, '/')
const withoutParameters = (path: string) => path.replace(/;[^/]*/g, '')

function attempt(read: () => string | null): string | null {
  try {
    return read()
  } catch {
    return null
  }
}

export const toyBackends: readonly ToyBackend[] = [
  {
    name: 'node: new URL().pathname, undecoded',
    ignoresCase: false,
    read: (target) => attempt(() => new URL(target, 'http://backend').pathname)
  },
  {
    name: 'node: new URL().pathname, decoded',
    ignoresCase: false,
    read: (target) => attempt(() => decodeURIComponent(new URL(target, 'http://backend').pathname))
  },
  {
    name: 'Express: the path unchanged, any case',
    ignoresCase: true,
    read: pathOf
  },
  {
    name: 'WSGI: decoded once, nothing else',
    ignoresCase: false,
    read: (target) => percentDecode(pathOf(target))
  },
  {
    name: 'Tomcat: parameters removed, decoded, slashes merged, dots resolved',
    ignoresCase: false,
    read: (target) => resolveDots(mergeSlashes(percentDecode(withoutParameters(pathOf(target))).replaceAll('\\', '/')))
  },
  {
    name: 'Spring: decoded, then parameters removed, any case',
    ignoresCase: true,
    read: (target) => resolveDots(mergeSlashes(withoutParameters(percentDecode(pathOf(target)))))
  },
  {
    name: 'nginx: decoded, slashes merged, dots resolved',
    ignoresCase: false,
    read: (target) => resolveDots(mergeSlashes(percentDecode(pathOf(target))))
  },
  {
    name: 'Go ServeMux: decoded and cleaned',
    ignoresCase: false,
    read(target) {
      const path = attempt(() => decodeURIComponent(pathOf(target)))
      return path === null ? null : (resolveDots(mergeSlashes(path)) ?? '/')
    }
  },
  {
    name: 'IIS: %u, backslashes, trailing dots and spaces, streams, any case',
    ignoresCase: true,
    read(target) {
      const unescaped = pathOf(target).replace(/%u([0-9a-f]{4})/gi, (_, hex: string) =>
        String.fromCharCode(Number.parseInt(hex, 16))
      )
      const path = resolveDots(mergeSlashes(percentDecode(unescaped).replaceAll('\\', '/')))
      const trim = (segment: string) => {
        const name = segment.replace(/:(?::|\$).*$/, '')
        return /^\.{3,}$/.test(name) ? name : name.replace(/[. ]+$/, '')
      }
      return path === null ? null : mergeSlashes(path.split('/').map(trim).join('/'))
    }
  },
  {
    name: 'PHP: urldecode twice, cut at a query',
    ignoresCase: false,
    read(target) {
      const once = percentDecode(pathOf(target))
      const twice = percentDecode(once.replaceAll('+', ' '))
      return resolveDots(mergeSlashes(pathOf(twice.split('#', 1)[0] ?? '')))
    }
  },
  {
    name: 'a framework that decodes until nothing changes',
    ignoresCase: true,
    read(target) {
      let path = pathOf(target)
      for (let layer = 0; layer < 20; layer++) path = percentDecode(path)
      return resolveDots(mergeSlashes(withoutParameters(path)))
    }
  },
  {
    name: 'one that normalizes Unicode (NFKC) and trims segments',
    ignoresCase: true,
    read(target) {
      const path = percentDecode(pathOf(target)).normalize('NFKC').replaceAll('\\', '/')
      return resolveDots(
        mergeSlashes(
          path
            .split('/')
            .map((segment) => segment.trim())
            .join('/')
        )
      )
    }
  },
  {
    name: 'Java: equalsIgnoreCase on decoded segments',
    ignoresCase: true,
    read: (target) => percentDecode(pathOf(target))
  }
]
