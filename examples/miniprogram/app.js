const client = require('./client')

App({
  onLaunch() {
    // Logs in early, so that the first page does not wait. Every call logs in by itself when there
    // is no session.
    client.login().catch(() => {})
  }
})
