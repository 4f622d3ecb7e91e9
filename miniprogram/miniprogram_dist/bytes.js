"use strict";
/** Bytes and texts: mini-programs have neither TextEncoder nor atob on every phone. */
Object.defineProperty(exports, "__esModule", { value: true });
exports.isBytes = isBytes;
exports.fromText = fromText;
exports.toText = toText;
exports.toBase64Url = toBase64Url;
exports.fromBase64 = fromBase64;
exports.concat = concat;
exports.isEqual = isEqual;
var ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** Recognises an ArrayBuffer of another JavaScript context too. */
function isBytes(data) {
    return Object.prototype.toString.call(data) === '[object ArrayBuffer]';
}
/** Encodes UTF-8. Half of a surrogate pair becomes U+FFFD. */
function fromText(text) {
    var paired = text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g, function (found) {
        return found.length === 2 ? found : '\ufffd';
    });
    var encoded = encodeURIComponent(paired);
    var bytes = [];
    for (var index = 0; index < encoded.length; index++) {
        if (encoded.charAt(index) === '%') {
            bytes.push(parseInt(encoded.substr(index + 1, 2), 16));
            index += 2;
        }
        else
            bytes.push(encoded.charCodeAt(index));
    }
    return new Uint8Array(bytes);
}
/** Decodes UTF-8; returns the empty text for bytes that are not UTF-8. */
function toText(bytes) {
    var _a;
    var encoded = '';
    for (var index = 0; index < bytes.length; index++) {
        var byte = (_a = bytes[index]) !== null && _a !== void 0 ? _a : 0;
        encoded += "%".concat(byte < 16 ? '0' : '').concat(byte.toString(16));
    }
    try {
        return decodeURIComponent(encoded);
    }
    catch (_error) {
        return '';
    }
}
/** Encodes base64url without padding (RFC 4648, section 5). */
function toBase64Url(bytes) {
    var text = '';
    for (var index = 0; index < bytes.length; index += 3) {
        var _a = [bytes[index], bytes[index + 1], bytes[index + 2]], _b = _a[0], a = _b === void 0 ? 0 : _b, _c = _a[1], b = _c === void 0 ? 0 : _c, _d = _a[2], c = _d === void 0 ? 0 : _d;
        var left = bytes.length - index;
        text += ALPHABET.charAt(a >> 2) + ALPHABET.charAt(((a & 3) << 4) | (b >> 4));
        if (left > 1)
            text += ALPHABET.charAt(((b & 15) << 2) | (c >> 6));
        if (left > 2)
            text += ALPHABET.charAt(c & 63);
    }
    return text;
}
/** Decodes base64 of either alphabet, with or without padding; null for any other text. */
function fromBase64(text) {
    if (!/^[\w+/-]*={0,2}$/.test(text))
        return null;
    var plain = text.replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
    var bytes = [];
    var bits = 0;
    var held = 0;
    for (var index = 0; index < plain.length; index++) {
        held = ((held << 6) | ALPHABET.indexOf(plain.charAt(index))) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes.push((held >> bits) & 0xff);
        }
    }
    return new Uint8Array(bytes);
}
function concat(parts) {
    var length = 0;
    for (var _i = 0, parts_1 = parts; _i < parts_1.length; _i++) {
        var part = parts_1[_i];
        length += part.length;
    }
    var whole = new Uint8Array(length);
    var offset = 0;
    for (var _a = 0, parts_2 = parts; _a < parts_2.length; _a++) {
        var part = parts_2[_a];
        whole.set(part, offset);
        offset += part.length;
    }
    return whole;
}
/** Compares without telling where two texts differ by the time it takes. */
function isEqual(a, b) {
    var _a, _b;
    var difference = a.length ^ b.length;
    for (var index = 0; index < a.length; index++)
        difference |= ((_a = a[index]) !== null && _a !== void 0 ? _a : 0) ^ ((_b = b[index]) !== null && _b !== void 0 ? _b : 0);
    return difference === 0;
}
