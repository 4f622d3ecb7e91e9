const client = require('../../client')

Page({
  data: { userId: '', products: [], orders: [], isBusy: false, message: '' },

  onShow() {
    return this.load()
  },

  onPullDownRefresh() {
    return this.load().then(() => wx.stopPullDownRefresh())
  },

  async load() {
    await this.attempt(async () => {
      // The client logs in once for both.
      const [products, orders] = await Promise.all([
        client.request({ url: '/api/products', auth: 'public' }),
        client.request({ url: '/api/orders' })
      ])
      this.setData({
        products: products.data.products.map(({ id, name, price_cents }) => ({
          id,
          name,
          price: (price_cents / 100).toFixed(2)
        })),
        orders: orders.data.orders
      })
    })
  },

  async order(event) {
    await this.attempt(async () => {
      const { statusCode } = await client.request({
        url: '/api/orders',
        method: 'POST',
        data: { product_id: event.currentTarget.dataset.id }
      })
      if (statusCode !== 201) throw new Error(`The shop answered ${statusCode}.`)
      const { data } = await client.request({ url: '/api/orders' })
      this.setData({ orders: data.orders })
    })
  },

  async attempt(work) {
    this.setData({ isBusy: true, message: '' })
    try {
      await work()
    } catch (error) {
      // `detail` of a WxgateError is a sentence for people. `requestId` names the request in the
      // gateway's log.
      this.setData({ message: error.detail || error.message })
    }
    const user = client.currentUser()
    this.setData({ isBusy: false, userId: user ? user.id : '' })
  }
})
