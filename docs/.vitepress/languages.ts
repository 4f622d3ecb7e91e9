/** Texts of the site around its pages. */
export const english = {
  label: 'English',
  lang: 'en',
  description: 'Auth gateway and reverse proxy for WeChat mini-programs',
  themeConfig: {
    nav: [
      { text: 'Overview', link: '/overview' },
      { text: 'Mini-program', link: '/miniprogram' },
      { text: 'gateway.yaml', link: '/configuration' },
      { text: 'Operation', link: '/operations' }
    ]
  }
}

export const chinese = {
  label: '简体中文',
  lang: 'zh-CN',
  link: '/zh/',
  description: '微信小程序的鉴权网关和反向代理',
  themeConfig: {
    nav: [
      { text: '概览', link: '/zh/overview' },
      { text: '小程序', link: '/zh/miniprogram' },
      { text: 'gateway.yaml', link: '/zh/configuration' },
      { text: '运维', link: '/zh/operations' }
    ],
    outline: { level: [2, 3], label: '本页目录' },
    docFooter: { prev: '上一页', next: '下一页' },
    darkModeSwitchLabel: '外观',
    lightModeSwitchTitle: '切换到浅色模式',
    darkModeSwitchTitle: '切换到深色模式',
    sidebarMenuLabel: '菜单',
    returnToTopLabel: '回到顶部',
    langMenuLabel: '切换语言',
    skipToContentLabel: '跳到正文',
    notFound: { title: '没有这个页面', quote: '', linkLabel: '回到首页', linkText: '回到首页' }
  },
  search: {
    translations: {
      button: { buttonText: '搜索', buttonAriaLabel: '搜索' },
      modal: {
        displayDetails: '显示详情',
        resetButtonTitle: '清除',
        backButtonTitle: '关闭',
        noResultsText: '没有结果：',
        footer: { selectText: '打开', navigateText: '移动', closeText: '关闭' }
      }
    }
  }
}
