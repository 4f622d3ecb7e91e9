// Codes for wxgate's sandbox of WeChat: without your own AppID the developer tools give codes that
// WeChat does not know. A real mini-program does not need this file.

let count = 0

function nextCode(kind, user) {
  count += 1
  return `sandbox-${kind}${user}-${Date.now()}x${count}`
}

/** Replaces wx.login and wx.checkSession. */
function sandboxWx(user) {
  const own = Object.create(wx)
  own.login = ({ success }) => success({ code: nextCode('', user), errMsg: 'login:ok' })
  own.checkSession = ({ success }) => success({ errMsg: 'checkSession:ok' })
  return own
}

/** Makes the event detail of a getPhoneNumber button. */
function sandboxPhone(user) {
  return { code: nextCode('phone-', user), errMsg: 'getPhoneNumber:ok' }
}

module.exports = { sandboxWx, sandboxPhone }
