// The client that all pages use. `npm run build:miniprogram` in the repository of wxgate puts the
// package into miniprogram_npm.
const { createClient } = require('wxgate-miniprogram')
const { baseUrl, sandboxUser } = require('./config')
const { sandboxWx } = require('./sandbox')

module.exports = createClient({ baseUrl, wx: sandboxUser ? sandboxWx(sandboxUser) : wx })
