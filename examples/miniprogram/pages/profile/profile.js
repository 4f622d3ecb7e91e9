const client = require('../../client')
const { sandboxUser } = require('../../config')
const { sandboxPhone } = require('../../sandbox')

Page({
  data: { userId: '', status: '', phone: '', isSandbox: sandboxUser !== '', message: '' },

  onLoad() {
    this.stopListening = client.onSessionEnd(() => this.setData({ userId: '', status: '', phone: '' }))
  },

  onUnload() {
    this.stopListening()
  },

  onShow() {
    this.showUser()
  },

  async login() {
    await this.attempt(() => client.login())
  },

  // Passes the event's detail on unchanged. No other call of WeChat comes before it.
  async bindPhone(event) {
    await this.attempt(async () => {
      const { phone } = await client.bindPhone(sandboxUser ? sandboxPhone(sandboxUser) : event.detail)
      this.setData({ phone: phone.masked })
    })
  },

  async logout() {
    await this.attempt(() => client.logout())
  },

  async logoutEverywhere() {
    await this.attempt(async () => {
      const { ended } = await client.logout({ all: true })
      if (!ended) throw new Error('Logged out here. The other devices could not be reached; try again later.')
    })
  },

  async attempt(work) {
    this.setData({ message: '' })
    try {
      await work()
    } catch (error) {
      this.setData({ message: error.detail || error.message })
    }
    this.showUser()
  },

  showUser() {
    const user = client.currentUser()
    this.setData({ userId: user ? user.id : '', status: user ? user.status : '' })
  }
})
