// The one client that all pages use.
const { createClient } = require('wxgate-miniprogram')
const { baseUrl, sandboxUser } = require('./config')
const { sandboxWx } = require('./sandbox')

module.exports = createClient({ baseUrl, wx: sandboxUser ? sandboxWx(sandboxUser) : wx })
