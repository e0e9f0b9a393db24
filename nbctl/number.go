package nbctl

// scanInt reads the integer that a text begins with, as the stock programs do
// for priorities, tags, labels and rates: blanks before it and whatever follows
// it are passed over, and what is too large wraps around. base 0 takes "0x" and
// "0" for what they mean in C.
func scanInt(s string, base int) (n int64, ok bool) {
	i := 0
	for i < len(s) && (s[i] == ' ' || s[i] >= '\t' && s[i] <= '\r') {
		i++
	}
	negative := false
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		negative = s[i] == '-'
		i++
	}
	if base == 0 {
		switch {
		case i+2 < len(s) && s[i] == '0' && (s[i+1] == 'x' || s[i+1] == 'X') && digit(s[i+2]) < 16:
			base, i = 16, i+2
		case i < len(s) && s[i] == '0':
			base = 8
		default:
			base = 10
		}
	}
	var value uint64
	for ; i < len(s) && digit(s[i]) < base; i++ {
		value = value*uint64(base) + uint64(digit(s[i]))
		ok = true
	}
	if negative {
		value = -value
	}
	return int64(value), ok
}

// digit is the value of a digit, a large number for anything else.
func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return 99
}
