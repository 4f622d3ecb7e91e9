module.exports = {
  // Where wxgate listens. `npm start` in its repository listens here; the developer tools allow it, because this project
  // has "urlCheck": false. A phone needs an https domain that the mini-program's administration page lists.
  baseUrl: 'http://127.0.0.1:8080',
  // Who you are in the sandbox. With an AppID of your own and a gateway that knows its AppSecret: ''.
  sandboxUser: 'alice'
}
