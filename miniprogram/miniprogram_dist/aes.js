"use strict";
/** AES-128 in CBC mode with PKCS#7 padding (FIPS 197, SP 800-38A): wx has no cipher. */
Object.defineProperty(exports, "__esModule", { value: true });
exports.encryptCbc = encryptCbc;
exports.decryptCbc = decryptCbc;
var BLOCK = 16;
var ROUNDS = 10;
var _a = makeTables(), SUBSTITUTE = _a.SUBSTITUTE, RESTORE = _a.RESTORE;
var _b = [multiples(9), multiples(11), multiples(13), multiples(14)], TIMES_9 = _b[0], TIMES_11 = _b[1], TIMES_13 = _b[2], TIMES_14 = _b[3];
function twice(byte) {
    return ((byte << 1) ^ (byte & 0x80 ? 0x11b : 0)) & 0xff;
}
/** Multiplication in the field of FIPS 197, section 4.2. */
function multiply(a, b) {
    var product = 0;
    for (var factor = a, bits = b; bits > 0; bits >>= 1) {
        if (bits & 1)
            product ^= factor;
        factor = twice(factor);
    }
    return product;
}
function multiples(factor) {
    var table = new Uint8Array(256);
    for (var byte = 0; byte < 256; byte++)
        table[byte] = multiply(byte, factor);
    return table;
}
/** The S-box and its inverse: the inverse in the field, then an affine map (section 5.1.1). */
function makeTables() {
    var SUBSTITUTE = new Uint8Array(256);
    var RESTORE = new Uint8Array(256);
    // 3 generates the field, and 246 is its inverse.
    for (var count = 0, power = 1, inverse = 1; count < 256; count++) {
        var byte = count === 255 ? 0 : power;
        var source = count === 255 ? 0 : inverse;
        var mapped = 0x63;
        for (var turn = 0; turn < 5; turn++)
            mapped ^= ((source << turn) | (source >> (8 - turn))) & 0xff;
        SUBSTITUTE[byte] = mapped;
        RESTORE[mapped] = byte;
        power = multiply(power, 3);
        inverse = multiply(inverse, 246);
    }
    return { SUBSTITUTE: SUBSTITUTE, RESTORE: RESTORE };
}
function expand(key) {
    var keys = new Uint8Array(BLOCK * (ROUNDS + 1));
    keys.set(key);
    for (var at = BLOCK, constant = 1; at < keys.length; at += 4) {
        var isFirst = at % BLOCK === 0;
        for (var index = 0; index < 4; index++) {
            var from = isFirst ? at - 4 + ((index + 1) & 3) : at - 4 + index;
            var byte = keys[from];
            keys[at + index] = keys[at + index - BLOCK] ^ (isFirst ? SUBSTITUTE[byte] : byte);
        }
        if (isFirst) {
            keys[at] = keys[at] ^ constant;
            constant = twice(constant);
        }
    }
    return keys;
}
function addKey(state, keys, round) {
    for (var index = 0; index < BLOCK; index++) {
        state[index] = state[index] ^ keys[round * BLOCK + index];
    }
}
/** Substitutes each byte and shifts the rows to the left by `step` columns per row. */
function substitute(state, table, step) {
    var before = new Uint8Array(state);
    for (var index = 0; index < BLOCK; index++) {
        state[index] = table[before[(index + 4 * step * (index & 3)) & 15]];
    }
}
function encryptBlock(state, keys) {
    addKey(state, keys, 0);
    for (var round = 1; round <= ROUNDS; round++) {
        substitute(state, SUBSTITUTE, 1);
        if (round < ROUNDS)
            mixColumns(state);
        addKey(state, keys, round);
    }
}
function decryptBlock(state, keys) {
    addKey(state, keys, ROUNDS);
    for (var round = ROUNDS - 1; round >= 0; round--) {
        substitute(state, RESTORE, 3);
        addKey(state, keys, round);
        if (round > 0)
            unmixColumns(state);
    }
}
function mixColumns(state) {
    for (var at = 0; at < BLOCK; at += 4) {
        var _a = [state[at], state[at + 1], state[at + 2], state[at + 3]], _b = _a[0], a = _b === void 0 ? 0 : _b, _c = _a[1], b = _c === void 0 ? 0 : _c, _d = _a[2], c = _d === void 0 ? 0 : _d, _e = _a[3], d = _e === void 0 ? 0 : _e;
        var all = a ^ b ^ c ^ d;
        state[at] = a ^ all ^ twice(a ^ b);
        state[at + 1] = b ^ all ^ twice(b ^ c);
        state[at + 2] = c ^ all ^ twice(c ^ d);
        state[at + 3] = d ^ all ^ twice(d ^ a);
    }
}
function unmixColumns(state) {
    for (var at = 0; at < BLOCK; at += 4) {
        var column = [state[at], state[at + 1], state[at + 2], state[at + 3]];
        for (var row = 0; row < 4; row++) {
            state[at + row] =
                TIMES_14[column[row]] ^
                    TIMES_11[column[(row + 1) & 3]] ^
                    TIMES_13[column[(row + 2) & 3]] ^
                    TIMES_9[column[(row + 3) & 3]];
        }
    }
}
function encryptCbc(key, iv, plain) {
    var keys = expand(key);
    var padding = BLOCK - (plain.length % BLOCK);
    var result = new Uint8Array(plain.length + padding);
    result.set(plain);
    for (var index = plain.length; index < result.length; index++)
        result[index] = padding;
    var previous = iv;
    for (var at = 0; at < result.length; at += BLOCK) {
        var block = result.subarray(at, at + BLOCK);
        for (var index = 0; index < BLOCK; index++)
            block[index] = block[index] ^ previous[index];
        encryptBlock(block, keys);
        previous = block;
    }
    return result;
}
/** Null for a length or a padding that encryptCbc does not produce. */
function decryptCbc(key, iv, sealed) {
    var _a;
    if (sealed.length === 0 || sealed.length % BLOCK !== 0)
        return null;
    var keys = expand(key);
    var result = new Uint8Array(sealed);
    for (var at = 0; at < result.length; at += BLOCK) {
        var block = result.subarray(at, at + BLOCK);
        var previous = at === 0 ? iv : sealed.subarray(at - BLOCK, at);
        decryptBlock(block, keys);
        for (var index = 0; index < BLOCK; index++)
            block[index] = block[index] ^ previous[index];
    }
    var padding = (_a = result[result.length - 1]) !== null && _a !== void 0 ? _a : 0;
    if (padding < 1 || padding > BLOCK)
        return null;
    for (var index = result.length - padding; index < result.length; index++)
        if (result[index] !== padding)
            return null;
    return result.subarray(0, result.length - padding);
}
