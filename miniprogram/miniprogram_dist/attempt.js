"use strict";
/** Random text sent beside a login code or a refresh token. The gateway answers a repeat only
 *  when it carries the same text. */
Object.defineProperty(exports, "__esModule", { value: true });
exports.createAttempt = createAttempt;
var ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
/** The gateway takes 16 to 64 characters. */
var LENGTH = 32;
/** Math.random is enough: the text is worth nothing without the code or token beside it. */
function createAttempt() {
    var attempt = '';
    while (attempt.length < LENGTH)
        attempt += ALPHABET.charAt(Math.floor(Math.random() * ALPHABET.length));
    return attempt;
}
