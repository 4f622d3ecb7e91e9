"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.sha256 = sha256;
exports.hmacSha256 = hmacSha256;
/** SHA-256 (FIPS 180-4) and HMAC (RFC 2104): wx has neither. */
var bytes_1 = require("./bytes");
var BLOCK = 64;
var ROUNDS = 64;
/** The first 32 bits of the fractional parts of cube roots and of square roots of primes
 *  (FIPS 180-4, sections 4.2.2 and 5.3.3). */
var CUBE_ROOTS = [];
var SQUARE_ROOTS = [];
for (var candidate = 2; CUBE_ROOTS.length < ROUNDS; candidate++) {
    if (!isPrime(candidate))
        continue;
    if (SQUARE_ROOTS.length < 8)
        SQUARE_ROOTS.push(fractionOf(Math.pow(candidate, (1 / 2))));
    CUBE_ROOTS.push(fractionOf(Math.pow(candidate, (1 / 3))));
}
function isPrime(candidate) {
    for (var divisor = 2; divisor * divisor <= candidate; divisor++)
        if (candidate % divisor === 0)
            return false;
    return true;
}
function fractionOf(root) {
    return ((root - Math.floor(root)) * 0x100000000) | 0;
}
function rotate(word, by) {
    return (word >>> by) | (word << (32 - by));
}
function sha256(message) {
    var padded = pad(message);
    var state = SQUARE_ROOTS.slice();
    var words = [];
    for (var offset = 0; offset < padded.length; offset += BLOCK) {
        schedule(padded, offset, words);
        compress(state, words);
    }
    var digest = new Uint8Array(32);
    for (var index = 0; index < 32; index++)
        digest[index] = state[index >> 2] >>> (24 - 8 * (index & 3));
    return digest;
}
/** One 1 bit, zeros, and the length in bits. Bodies stay far below 2^32 bits. */
function pad(message) {
    var length = Math.ceil((message.length + 9) / BLOCK) * BLOCK;
    var padded = new Uint8Array(length);
    padded.set(message);
    padded[message.length] = 0x80;
    var bits = message.length * 8;
    for (var index = 0; index < 4; index++)
        padded[length - 1 - index] = (bits >>> (8 * index)) & 0xff;
    return padded;
}
function schedule(bytes, offset, words) {
    for (var index = 0; index < 16; index++) {
        var at = offset + 4 * index;
        words[index] =
            (bytes[at] << 24) |
                (bytes[at + 1] << 16) |
                (bytes[at + 2] << 8) |
                bytes[at + 3];
    }
    for (var index = 16; index < ROUNDS; index++) {
        var early = words[index - 15];
        var late = words[index - 2];
        var small0 = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
        var small1 = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
        words[index] = (words[index - 16] + small0 + words[index - 7] + small1) | 0;
    }
}
function compress(state, words) {
    var _a = state[0], a = _a === void 0 ? 0 : _a, _b = state[1], b = _b === void 0 ? 0 : _b, _c = state[2], c = _c === void 0 ? 0 : _c, _d = state[3], d = _d === void 0 ? 0 : _d, _e = state[4], e = _e === void 0 ? 0 : _e, _f = state[5], f = _f === void 0 ? 0 : _f, _g = state[6], g = _g === void 0 ? 0 : _g, _h = state[7], h = _h === void 0 ? 0 : _h;
    for (var index = 0; index < ROUNDS; index++) {
        var big1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        var choice = (e & f) ^ (~e & g);
        var first = (h + big1 + choice + CUBE_ROOTS[index] + words[index]) | 0;
        var big0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        var majority = (a & b) ^ (a & c) ^ (b & c);
        h = g;
        g = f;
        f = e;
        e = (d + first) | 0;
        d = c;
        c = b;
        b = a;
        a = (first + big0 + majority) | 0;
    }
    var added = [a, b, c, d, e, f, g, h];
    for (var index = 0; index < 8; index++)
        state[index] = (state[index] + added[index]) | 0;
}
/** @param key At most 64 bytes. */
function hmacSha256(key, message) {
    var _a;
    var inner = new Uint8Array(BLOCK);
    var outer = new Uint8Array(BLOCK);
    for (var index = 0; index < BLOCK; index++) {
        var byte = (_a = key[index]) !== null && _a !== void 0 ? _a : 0;
        inner[index] = byte ^ 0x36;
        outer[index] = byte ^ 0x5c;
    }
    return sha256((0, bytes_1.concat)([outer, sha256((0, bytes_1.concat)([inner, message]))]));
}
