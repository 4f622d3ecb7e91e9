"use strict";
var __spreadArray = (this && this.__spreadArray) || function (to, from, pack) {
    if (pack || arguments.length === 2) for (var i = 0, l = from.length, ar; i < l; i++) {
        if (ar || !(i in from)) {
            if (!ar) ar = Array.prototype.slice.call(from, 0, i);
            ar[i] = from[i];
        }
    }
    return to.concat(ar || Array.prototype.slice.call(from));
};
Object.defineProperty(exports, "__esModule", { value: true });
exports.sealMessage = sealMessage;
exports.openMessage = openMessage;
/** Wire format 1 of the encrypted channel: docs/channel.md of wxgate. */
var aes_1 = require("./aes");
var bytes_1 = require("./bytes");
var sha256_1 = require("./sha256");
var FORM = /^v1\.(\d{1,15})\.(\d{13})\.([\w-]{22})\.([\w-]{43})$/;
var LINE_FEED = 10;
/** @param content Null for a message without a body. */
function sealMessage(sealing, content) {
    var direction = sealing.direction, key = sealing.key, nonce = sealing.nonce;
    var about = [String(sealing.version), String(sealing.time), (0, bytes_1.toBase64Url)(nonce)];
    var body = content
        ? (0, aes_1.encryptCbc)(cipherKey(direction, key), nonce, (0, bytes_1.concat)([(0, bytes_1.fromText)("".concat(content.type, "\n")), content.body]))
        : new Uint8Array(0);
    var mac = macOf(direction, key, sealing.place, about, body);
    return { header: __spreadArray(__spreadArray(['v1'], about, true), [(0, bytes_1.toBase64Url)(mac)], false).join('.'), body: body };
}
/** `false` for a message that was not sealed with this key for this place. Null for one without a
 *  body. */
function openMessage(direction, key, place, _a) {
    var _b, _c;
    var header = _a.header, body = _a.body;
    var parts = FORM.exec(header);
    var nonce = (0, bytes_1.fromBase64)((_b = parts === null || parts === void 0 ? void 0 : parts[3]) !== null && _b !== void 0 ? _b : '');
    var mac = (0, bytes_1.fromBase64)((_c = parts === null || parts === void 0 ? void 0 : parts[4]) !== null && _c !== void 0 ? _c : '');
    if (!parts || !nonce || !mac || !(0, bytes_1.isEqual)(macOf(direction, key, place, parts.slice(1, 4), body), mac))
        return false;
    if (body.length === 0)
        return null;
    var plain = (0, aes_1.decryptCbc)(cipherKey(direction, key), nonce, body);
    return plain ? split(plain) : false;
}
function split(plain) {
    var _a;
    var type = '';
    for (var index = 0; index < plain.length; index++) {
        if (plain[index] === LINE_FEED)
            return { type: type, body: plain.subarray(index + 1) };
        type += String.fromCharCode((_a = plain[index]) !== null && _a !== void 0 ? _a : 0);
    }
    return false;
}
function cipherKey(direction, key) {
    return (0, sha256_1.hmacSha256)(key, (0, bytes_1.fromText)("wxgate-channel-1 ".concat(direction, " cipher"))).subarray(0, 16);
}
function macOf(direction, key, place, about, body) {
    var macKey = (0, sha256_1.hmacSha256)(key, (0, bytes_1.fromText)("wxgate-channel-1 ".concat(direction, " mac")));
    var lines = __spreadArray(__spreadArray(__spreadArray(["wxgate-channel-1 ".concat(direction)], place, true), about, true), [''], false);
    return (0, sha256_1.hmacSha256)(macKey, (0, bytes_1.concat)([(0, bytes_1.fromText)(lines.join('\n')), body]));
}
