package filesystem

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// isUTF16 reports whether data begins with a byte order mark of UTF-16.
func isUTF16(data []byte) bool {
	return len(data) >= 2 && (data[0] == 0xff && data[1] == 0xfe || data[0] == 0xfe && data[1] == 0xff)
}

// decodeUTF16 turns UTF-16 with a byte order mark into UTF-8 without one. What
// is not valid becomes U+FFFD.
func decodeUTF16(data []byte) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 0xfe {
		order = binary.BigEndian
	}
	data = data[2:]
	out := make([]byte, 0, len(data)*3/4)
	for i := 0; i < len(data); i += 2 {
		if i+1 == len(data) {
			return utf8.AppendRune(out, utf8.RuneError)
		}
		r := rune(order.Uint16(data[i:]))
		if utf16.IsSurrogate(r) {
			next := rune(0)
			if i+3 < len(data) {
				next = rune(order.Uint16(data[i+2:]))
			}
			if r = utf16.DecodeRune(r, next); r != utf8.RuneError {
				i += 2
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}
