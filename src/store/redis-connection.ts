/** Makes one connection to Redis: to a server, to the master that a Sentinel names, or to a Cluster. A connection lives
 *  until it is lost; making a new one is up to redis-link.ts. */
import { readFileSync } from 'node:fs'
import { createClient, createCluster } from '@keyv/redis'
import type { RedisAddress, RedisCredentials, RedisNode } from '../config/redis-url.ts'

export interface RedisConnection {
  /** Sends one command to the server that keeps `key`. Commands of one tick leave together. No deadline of its own. */
  send(key: string, args: readonly string[]): Promise<unknown>
  /** True when it spans servers: losing one of them leaves the others usable. */
  readonly isCluster: boolean
  destroy(): void
}

export interface ConnectOptions {
  readonly address: RedisAddress
  /** Milliseconds for every step of connecting. */
  readonly timeout: number
  /** Called when the server has gone; never before `connectRedis` has resolved. */
  readonly onLost: () => void
}

/** Longest silence of a connection inside a cluster; the client pings in between (milliseconds). */
const CLUSTER_SILENCE = 10_000
const CLUSTER_PING = 3_000

export async function connectRedis(options: ConnectOptions): Promise<RedisConnection> {
  const { address } = options
  if (address.kind === 'cluster') return connectCluster(options)
  if (address.kind === 'server') return connectServer(address.nodes[0], address.credentials, address.database, options)
  const master = await findMaster(options)
  let isMaster = false
  // Lost while it is being asked what it is, it was never a connection of the caller's.
  const onLost = () => void (isMaster && options.onLost())
  const connection = await connectServer(master, address.credentials, address.database, { ...options, onLost })
  try {
    // A sentinel may be behind the times; the server itself knows what it is. ROLE would say it in fewer words, but is
    // among the commands that an ACL leaves out.
    const replication = await within(options.timeout, connection.send('', ['INFO', 'replication']))
    isMaster = /^role:master\b/m.test(String(replication))
    if (isMaster) return connection
    throw new Error('the server that Sentinel named is not a master')
  } catch (error) {
    connection.destroy()
    throw error
  }
}

/** Client options for every server. It does not reconnect by itself and queues nothing while it has no
 *  connection: an operation must fail at once then, and must not be sent later, behind the back of a caller who was told
 *  that it failed. */
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
    // Before its socket is up the client cannot be stopped; it is caught in the 'connect' event.
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
    // The client's own timeout ends with the TCP handshake; a server that accepts and says nothing is ours to notice.
    await within(options.timeout, client.connect())
  } catch (error) {
    destroy()
    throw error
  }
  isConnected = true
  return { send: (_key, args) => client.sendCommand([...args]), isCluster: false, destroy }
}

/** Asks the sentinels, one after the other, who the master is. */
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
    // A node that stops in the middle of a connection attempt would hang the client; silence ends it.
    defaults: { ...base, pingInterval: CLUSTER_PING, socket: { ...base.socket, socketTimeout: CLUSTER_SILENCE } }
  })
  // Losing one node shows in the operations that need it.
  cluster.on('error', () => undefined)
  const destroy = () => {
    if (cluster.isOpen) cluster.destroy()
  }
  const connecting = cluster.connect()
  try {
    await within(timeout, connecting)
  } catch (error) {
    // Destroyed in the middle of an attempt it would leave sockets behind; so once the attempt is over.
    connecting.then(destroy, () => undefined)
    throw error
  }
  return { send: (key, args) => cluster.sendCommand(key, false, [...args]), isCluster: true, destroy }
}

/** Rejects when the work has not settled in time. The work itself goes on. */
function within<T>(timeout: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no answer in time')), timeout)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
