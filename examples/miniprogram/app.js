const client = require('./client')

App({
  onLaunch() {
    // Early, so that the first page need not wait. Every call would log in by itself.
    client.login().catch(() => {})
  }
})
