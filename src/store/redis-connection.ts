/** Makes one connection to Redis: to a server, to the master that a Sentinel names, or to a
 *  Cluster. redis-link.ts replaces a lost connection. */
import { readFileSync } from 'node:fs'
import { createClient, createCluster } from '@keyv/redis'
import type { RedisAddress, RedisCredentials, RedisNode } from '../config/redis-url.ts'

export interface RedisConnection {
  /** Sends one command to the server that holds `key`. Commands of one tick leave together. Has
   *  no deadline. */
  send(key: string, args: readonly string[]): Promise<unknown>
  /** One sender per server that holds records, for commands that concern no single key. */
  servers(): readonly ((args: readonly string[]) => Promise<unknown>)[]
  /** True when it spans servers: after the loss of one the others still work. */
  readonly isCluster: boolean
  destroy(): void
}

export interface ConnectOptions {
  readonly address: RedisAddress
  /** Milliseconds for every step of connecting. */
  readonly timeout: number
  /** Called when the server is lost; never before `connectRedis` has resolved. */
  readonly onLost: () => void
}

/** Longest silence of a connection inside a cluster, and the interval of the client's pings
 *  (milliseconds). */
const CLUSTER_SILENCE = 10_000
const CLUSTER_PING = 3_000

export async function connectRedis(options: ConnectOptions): Promise<RedisConnection> {
  const { address } = options
  if (address.kind === 'cluster') return connectCluster(options)
  if (address.kind === 'server') return connectServer(address.nodes[0], address.credentials, address.database, options)
  const master = await findMaster(options)
  let isMaster = false
  // A connection lost during the INFO query was never handed to the caller.
  const onLost = () => void (isMaster && options.onLost())
  const connection = await connectServer(master, address.credentials, address.database, { ...options, onLost })
  try {
    // A sentinel may be outdated; the server itself knows its role. INFO and not ROLE: common ACLs
    // leave ROLE out.
    const replication = await within(options.timeout, connection.send('', ['INFO', 'replication']))
    isMaster = /^role:master\b/m.test(String(replication))
    if (isMaster) return connection
    throw new Error('the server that Sentinel named is not a master')
  } catch (error) {
    connection.destroy()
    throw error
  }
}

/** Client options for every server. The client neither reconnects nor queues without a
 *  connection: an operation must fail at once, and must not be sent after its caller was told that
 *  it failed. */
function clientOptions(credentials: RedisCredentials, { address, timeout }: ConnectOptions) {
  return {
    ...(credentials.username === null ? {} : { username: credentials.username }),
    ...(credentials.password === null ? {} : { password: credentials.password }),
    disableOfflineQueue: true,
    maintNotifications: 'disabled' as const,
    socket: {
      connectTimeout: timeout,
      reconnectStrategy: false as const,
      ...(address.isTls ? { tls: true as const } : {}),
      ...(address.caFile === null ? {} : { ca: readFileSync(address.caFile) })
    }
  }
}

async function connectServer(
  node: RedisNode,
  credentials: RedisCredentials,
  database: number,
  options: ConnectOptions
): Promise<RedisConnection> {
  const base = clientOptions(credentials, options)
  const client = createClient({ ...base, database, socket: { ...base.socket, ...node } })
  let isConnected = false
  let isAbandoned = false
  let hasSocket = false

  function destroy(): void {
    isAbandoned = true
    // The client cannot be stopped before its socket is up; the 'connect' event does it.
    if (hasSocket && client.isOpen) client.destroy()
  }
  client.on('connect', () => {
    hasSocket = true
    if (isAbandoned) destroy()
  })
  client.on('error', () => {
    if (isConnected && !isAbandoned) options.onLost()
  })

  try {
    // The client's own timeout ends with the TCP handshake; this one covers a server that accepts
    // and never answers.
    await within(options.timeout, client.connect())
  } catch (error) {
    destroy()
    throw error
  }
  isConnected = true
  const send = (args: readonly string[]) => client.sendCommand([...args])
  return { send: (_key, args) => send(args), servers: () => [send], isCluster: false, destroy }
}

/** Asks the sentinels in turn for the master's address. */
async function findMaster(options: ConnectOptions): Promise<RedisNode> {
  const { nodes, sentinelCredentials, masterName } = options.address
  let problem: unknown
  for (const node of nodes) {
    try {
      const sentinel = await connectServer(node, sentinelCredentials, 0, { ...options, onLost: () => undefined })
      try {
        const args = ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName]
        const reply = await within(options.timeout, sentinel.send('', args))
        if (Array.isArray(reply)) return { host: String(reply[0]), port: Number(reply[1]) }
        problem = new Error('Sentinel knows no master of this name')
      } finally {
        sentinel.destroy()
      }
    } catch (error) {
      problem = error
    }
  }
  throw problem
}

async function connectCluster(options: ConnectOptions): Promise<RedisConnection> {
  const { address, timeout } = options
  const base = clientOptions(address.credentials, options)
  const cluster = createCluster({
    rootNodes: address.nodes.map((node) => ({ socket: { ...node } })),
    // A node that stops during a connection attempt would hang the client; the silence limit ends
    // it.
    defaults: { ...base, pingInterval: CLUSTER_PING, socket: { ...base.socket, socketTimeout: CLUSTER_SILENCE } }
  })
  // The operations that need a lost node report it.
  cluster.on('error', () => undefined)
  const destroy = () => {
    if (cluster.isOpen) cluster.destroy()
  }
  const connecting = cluster.connect()
  try {
    await within(timeout, connecting)
  } catch (error) {
    // Destroying the cluster during an attempt would leave sockets open; wait for the attempt.
    connecting.then(destroy, () => undefined)
    throw error
  }
  const servers = () =>
    cluster.masters.map((master) => async (args: readonly string[]) => {
      const client = await cluster.nodeClient(master)
      return client.sendCommand([...args])
    })
  return { send: (key, args) => cluster.sendCommand(key, false, [...args]), servers, isCluster: true, destroy }
}

/** Rejects when the work has not settled in time. The work itself goes on. */
function within<T>(timeout: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no answer in time')), timeout)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
