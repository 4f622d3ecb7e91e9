/** Docker compose, Kubernetes and Helm: the files of deploy/ are complete and fit the product. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { type Test, test } from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { APPID } from '../support/gateway.ts'
import { ROOT, readDocument } from '../support/markdown.ts'
import { sample } from '../support/proxies.ts'
import { at, type Tree } from '../support/yaml-parts.ts'

/** As `wxgate validate --strict` does in production. Secret files exist and are private. */
function expectValid(
  t: Test,
  text: string,
  env: Record<string, string>,
  allow: readonly string[],
  label: string
): void {
  const readFile = (path: string) => ({
    content: Buffer.from(createHash('sha256').update(path).digest('base64url')),
    mode: 0o400
  })
  const loaded = loadConfig({ file: 'gateway.yaml', text, env, readFile, production: true, allow: new Set(allow) })
  t.same([...(loaded.ok ? [] : loaded.problems), ...loaded.warnings].map(formatProblem), [], label)
}

test('docker compose: files, variables, secrets and networks exist, and only nginx is reachable from outside', (t) => {
  const text = readDocument('deploy/compose/compose.yaml')
  const compose = parse(text, { merge: true }) as Tree
  const services = Object.entries(at(compose, 'services') as Record<string, Tree>)
  const example = readDocument('deploy/compose/.env.example')
  t.same(
    services.map(([name]) => name),
    ['gateway-a', 'gateway-b', 'nginx', 'redis', 'backend', 'prometheus', 'grafana']
  )
  for (const [name, service] of services) {
    t.ok(service.restart && service.logging, name)
    // The image of the gateway has a check of its own.
    t.ok(service.healthcheck ?? service.build, `${name} has a health check`)
    for (const volume of (service.volumes ?? []) as string[]) {
      const [source = ''] = volume.split(':')
      if (source.startsWith('.') && source !== './tls')
        t.ok(existsSync(join(ROOT, 'deploy/compose', source)), `${name}: ${source}`)
      else if (source !== './tls') t.ok(source in (compose.volumes as Tree), `${name}: ${source}`)
    }
    const networks = Array.isArray(service.networks) ? service.networks : Object.keys(service.networks as Tree)
    for (const network of networks) t.ok(network in (compose.networks as Tree), `${name}: ${network}`)
    for (const secret of (service.secrets ?? []) as string[])
      t.ok(secret in (compose.secrets as Tree), `${name}: ${secret}`)
    for (const other of Object.keys((service.depends_on ?? {}) as Tree))
      t.ok(
        services.some(([one]) => one === other),
        other
      )
    const ports = (service.ports ?? []) as string[]
    if (name !== 'nginx') for (const port of ports) t.match(port, /^127\.0\.0\.1:/, name)
  }
  for (const secret of Object.keys(compose.secrets as Tree)) t.ok(example.includes(`secrets/${secret}`), secret)
  for (const [, variable = ''] of text.matchAll(/\$\{(\w+)/g)) t.ok(example.includes(variable), variable)
  const ofNginx = at(compose, 'services', 'nginx', 'networks', 'public', 'ipv4_address')
  const gateway = readDocument('deploy/compose/gateway.yaml')
  t.same(at(parse(gateway), 'server', 'trustedProxies'), [ofNginx])
  expectValid(t, gateway, { WECHAT_APPID: APPID }, ['service-public', 'plain-redis'], 'gateway.yaml')
  const known = { '10.0.0.11': 'gateway-a', '10.0.0.12': 'gateway-b', 'deploy/proxies': 'deploy/compose' }
  t.equal(readDocument('deploy/compose/nginx.conf'), sample('nginx.conf', known))
  t.end()
})

/** The rules that a container of the gateway must keep in every deployment. */
function expectHardened(t: Test, deployment: unknown): void {
  const pod = at(deployment, 'spec', 'template', 'spec')
  const container = at(pod, 'containers', 0)
  t.equal(at(pod, 'securityContext', 'runAsNonRoot'), true)
  t.equal(at(pod, 'automountServiceAccountToken'), false)
  t.match(at(container, 'securityContext'), {
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] }
  })
  t.equal(at(container, 'livenessProbe', 'httpGet', 'path'), '/livez')
  t.equal(at(container, 'readinessProbe', 'httpGet', 'path'), '/readyz')
  t.notOk(JSON.stringify(container).includes('subPath'), 'a subPath is never updated')
}

test('Kubernetes: kustomize renders every object, selectors and ports agree, and the configuration is valid', (t) => {
  const names = (parse(readDocument('deploy/kubernetes/kustomization.yaml')) as { resources: string[] }).resources
  const objects = names
    .flatMap((name) => parseAllDocuments(readDocument(`deploy/kubernetes/${name}`)))
    .map((document) => document.toJS() as Tree)
  const [deployment] = objects.filter(({ kind }) => kind === 'Deployment')
  expectHardened(t, deployment)
  t.same(objects.map(({ kind }) => kind).sort(), [
    ...['Deployment', 'HorizontalPodAutoscaler', 'NetworkPolicy', 'PodDisruptionBudget', 'Service', 'Service']
  ])
  const label = { 'app.kubernetes.io/name': 'wxgate' }
  for (const one of objects) {
    const selector = at(one, 'spec', 'selector') ?? at(one, 'spec', 'podSelector')
    if (selector !== undefined) t.same(at(selector, 'matchLabels') ?? selector, label, `${one.kind}`)
  }
  const secret = parse(readDocument('deploy/kubernetes/secret.example.yaml')) as { stringData: Tree }
  const config = readDocument('deploy/kubernetes/gateway.yaml')
  for (const [, key = ''] of config.matchAll(/\/run\/secrets\/wxgate\/([\w-]+)/g)) t.ok(key in secret.stringData, key)
  t.ok('store-url' in secret.stringData)
  expectValid(t, config, { WXGATE_STORE: 'rediss://redis:6379' }, ['service-public'], 'gateway.yaml')
  const kubectl = spawnSync('kubectl', ['kustomize', join(ROOT, 'deploy/kubernetes')], { encoding: 'utf8' })
  if (kubectl.error) t.comment('NOT TESTED: kubectl is not installed, and Debian has no package of it')
  else {
    t.equal(kubectl.status, 0, kubectl.stderr)
    const rendered = parseAllDocuments(kubectl.stdout).map((document) => document.toJS() as Tree)
    t.equal(rendered.length, objects.length + 1, 'and the ConfigMap')
    t.ok(rendered.some((one) => one.kind === 'ConfigMap' && at(one, 'metadata', 'name') === 'wxgate'))
    const peers = at(
      rendered.find(({ kind }) => kind === 'NetworkPolicy'),
      'spec',
      'ingress',
      1,
      'from',
      1,
      'podSelector'
    )
    t.same(peers, { matchLabels: { 'app.kubernetes.io/name': 'prometheus' } }, 'labels do not change the peers')
  }
  t.end()
})

test('Helm: values fit their schema, templates use existing values only, and the configuration is valid', (t) => {
  const folder = 'deploy/helm/wxgate'
  const values = parse(readDocument(`${folder}/values.yaml`)) as Tree
  const { $schema: _draft, ...schema } = JSON.parse(readDocument(`${folder}/values.schema.json`)) as Tree
  const ajv = new Ajv({ allErrors: true })
  t.ok(ajv.validate(schema, values), JSON.stringify(ajv.errors))
  t.notOk(ajv.validate(schema, { ...values, replica: 1 }), 'a misspelt value is refused')
  const chart = parse(readDocument(`${folder}/Chart.yaml`)) as Tree
  const { version } = JSON.parse(readDocument('package.json')) as { version: string }
  t.match(chart, { apiVersion: 'v2', name: 'wxgate', version, appVersion: version })
  const templates = readdirSync(join(ROOT, folder, 'templates'))
  t.ok(templates.length > 5)
  for (const name of templates) {
    const text = readDocument(`${folder}/templates/${name}`)
    for (const [all, path = ''] of text.matchAll(/\.Values((?:\.\w+)+)/g)) {
      t.not(at(values, ...path.slice(1).split('.')), undefined, `${name}: ${all}`)
    }
    const count = (pattern: RegExp) => [...text.matchAll(pattern)].length
    t.equal(count(/\{\{-? (?:if|with|range|define) /g), count(/\{\{-? end /g), `${name}: blocks end`)
    t.equal(count(/\{\{/g), count(/\}\}/g), name)
  }
  expectValid(t, JSON.stringify(values.config), { WXGATE_STORE: 'rediss://redis:6379' }, ['service-public'], 'config')
  const helm = spawnSync('helm', ['template', 'wxgate', join(ROOT, folder)], { encoding: 'utf8' })
  if (helm.error) t.comment('NOT TESTED: helm is not installed, and Debian has no package of it')
  else {
    t.equal(helm.status, 0, helm.stderr)
    const rendered = parseAllDocuments(helm.stdout).map((document) => document.toJS() as Tree)
    expectHardened(
      t,
      rendered.find((one) => one?.kind === 'Deployment')
    )
  }
  t.end()
})
