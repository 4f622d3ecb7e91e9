/** Faults of a header value that the configuration sets. */

/** Null for a value that can be sent. Latin-1 is the alphabet of HTTP/1, and a line break would
 *  start another header (RFC 9110, section 5.5). */
export function headerValueFault(value: string): string | null {
  if (!/[^\t\u0020-\u007e\u0080-\u00ff]|^[ \t]|[ \t]$/.test(value)) return null
  return 'the value must not hold control characters, characters beyond Latin-1, or a space at either end'
}
