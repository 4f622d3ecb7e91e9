module.exports = {
  // Address of wxgate, here of `npm start` in its repository. The developer tools accept it because
  // this project has "urlCheck": false. A phone needs an https domain that the mini-program's
  // administration page lists.
  baseUrl: 'http://127.0.0.1:8080',
  // User of the sandbox. With your own AppID, and a gateway that has its AppSecret: ''.
  sandboxUser: 'alice'
}
