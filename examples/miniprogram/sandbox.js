// Without an AppID of your own the developer tools hand out codes that nobody can exchange. The sandbox of wxgate, which
// stands in for WeChat, knows these. A real mini-program does not need this file.

let count = 0

function nextCode(kind, user) {
  count += 1
  return `sandbox-${kind}${user}-${Date.now()}x${count}`
}

/** wx, but for wx.login and wx.checkSession. */
function sandboxWx(user) {
  const own = Object.create(wx)
  own.login = ({ success }) => success({ code: nextCode('', user), errMsg: 'login:ok' })
  own.checkSession = ({ success }) => success({ errMsg: 'checkSession:ok' })
  return own
}

/** What the button of getPhoneNumber would have given. */
function sandboxPhone(user) {
  return { code: nextCode('phone-', user), errMsg: 'getPhoneNumber:ok' }
}

module.exports = { sandboxWx, sandboxPhone }
