package certs

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// versions are the protocols of the SSL table's ssl_protocols.
var versions = map[string]uint16{
	"TLSv1": tls.VersionTLS10, "TLSv1.0": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11,
	"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13,
}

// ParseProtocols reads a list of TLS versions, with commas or blanks between
// them, such as "TLSv1.2,TLSv1.3", and the ranges "TLSv1.1-TLSv1.3" and
// "TLSv1.2+". All from the least to the greatest are enabled. The empty string is
// TLSv1.2 and TLSv1.3: older ones must be asked for.
func ParseProtocols(s string) (min, max uint16, err error) {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	if len(words) == 0 {
		return tls.VersionTLS12, tls.VersionTLS13, nil
	}
	add := func(word string) error {
		v := versions[word]
		if v == 0 {
			return fmt.Errorf("SSL protocols %q: %q is none of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3", s, word)
		}
		if min == 0 || v < min {
			min = v
		}
		if v > max {
			max = v
		}
		return nil
	}
	for _, word := range words {
		from, to, isRange := strings.Cut(word, "-")
		if open, ok := strings.CutSuffix(word, "+"); ok {
			from, to, isRange = open, "TLSv1.3", true
		}
		if err := add(from); err != nil {
			return 0, 0, err
		}
		if isRange {
			if err := add(to); err != nil {
				return 0, 0, err
			}
		}
	}
	return min, max, nil
}
