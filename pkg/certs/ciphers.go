package certs

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// suite is a cipher suite with the words that select it in a cipher list of
// openssl-ciphers(1).
type suite struct {
	id    uint16
	words string
}

// suites are those up to TLS 1.2 that crypto/tls has, best first. The suites of
// TLS 1.3 are not configurable.
var suites = []suite{
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE ECDSA AES AES256 AESGCM SHA384 HIGH TLSv1.2"},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384 ECDHE aRSA AES AES256 AESGCM SHA384 HIGH TLSv1.2"},
	{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE ECDSA CHACHA20 HIGH TLSv1.2"},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305 ECDHE aRSA CHACHA20 HIGH TLSv1.2"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE ECDSA AES AES128 AESGCM SHA256 HIGH TLSv1.2"},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256 ECDHE aRSA AES AES128 AESGCM SHA256 HIGH TLSv1.2"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, "ECDHE-ECDSA-AES128-SHA256 ECDHE ECDSA AES AES128 SHA256 HIGH TLSv1.2"},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, "ECDHE-RSA-AES128-SHA256 ECDHE aRSA AES AES128 SHA256 HIGH TLSv1.2"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "ECDHE-ECDSA-AES256-SHA ECDHE ECDSA AES AES256 SHA SHA1 HIGH TLSv1.0"},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "ECDHE-RSA-AES256-SHA ECDHE aRSA AES AES256 SHA SHA1 HIGH TLSv1.0"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "ECDHE-ECDSA-AES128-SHA ECDHE ECDSA AES AES128 SHA SHA1 HIGH TLSv1.0"},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "ECDHE-RSA-AES128-SHA ECDHE aRSA AES AES128 SHA SHA1 HIGH TLSv1.0"},
	{tls.TLS_RSA_WITH_AES_256_GCM_SHA384, "AES256-GCM-SHA384 RSA kRSA aRSA AES AES256 AESGCM SHA384 HIGH TLSv1.2"},
	{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, "AES128-GCM-SHA256 RSA kRSA aRSA AES AES128 AESGCM SHA256 HIGH TLSv1.2"},
	{tls.TLS_RSA_WITH_AES_128_CBC_SHA256, "AES128-SHA256 RSA kRSA aRSA AES AES128 SHA256 HIGH TLSv1.2"},
	{tls.TLS_RSA_WITH_AES_256_CBC_SHA, "AES256-SHA RSA kRSA aRSA AES AES256 SHA SHA1 HIGH SSLv3"},
	{tls.TLS_RSA_WITH_AES_128_CBC_SHA, "AES128-SHA RSA kRSA aRSA AES AES128 SHA SHA1 HIGH SSLv3"},
}

// aliases are other words of openssl-ciphers(1) for those above.
var aliases = map[string]string{
	"ALL": "", "DEFAULT": "HIGH", "COMPLEMENTOFDEFAULT": "NONE", "kECDHE": "ECDHE", "EECDH": "ECDHE", "kEECDH": "ECDHE",
	"aECDSA": "ECDSA",
}

// absent are words for suites that crypto/tls does not have: they select nothing.
var absent = strings.Fields("NONE MEDIUM LOW EXPORT EXP aNULL eNULL NULL ADH AECDH aDSS DSS DES 3DES RC2 RC4 MD5 IDEA SEED CAMELLIA " +
	"CAMELLIA128 CAMELLIA256 ARIA ARIA128 ARIA256 ARIAGCM AESCCM AESCCM8 PSK kPSK aPSK SRP aSRP kSRP DH EDH DHE kDHE kEDH kDH aGOST GOST94 COMPLEMENTOFALL")

// ParseCiphers reads a cipher list in the notation of openssl-ciphers(1), such as
// "HIGH:!aNULL:!MD5" or "ECDHE+AESGCM:-SHA256", and returns the suites that it
// enables. What crypto/tls does not have is passed over, so is the order, which
// crypto/tls has its own mind about; a list that leaves nothing, and a word that
// nobody knows, are errors. The empty string leaves the choice to crypto/tls: nil.
func ParseCiphers(s string) ([]uint16, error) {
	if s == "" {
		return nil, nil
	}
	enabled, dead := make(map[uint16]bool), make(map[uint16]bool)
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(": ,;", r) }) {
		op := byte(' ')
		if strings.IndexByte("!-+", word[0]) >= 0 {
			op, word = word[0], word[1:]
		}
		if strings.HasPrefix(word, "@") {
			continue // @STRENGTH, @SECLEVEL=n: order and OpenSSL's own levels
		}
		selected, err := selectSuites(word)
		if err != nil {
			return nil, fmt.Errorf("SSL ciphers %q: %w", s, err)
		}
		for _, id := range selected {
			switch op {
			case ' ':
				enabled[id] = true
			case '-':
				delete(enabled, id)
			case '!':
				dead[id] = true
			}
		}
	}
	var ids []uint16
	for _, c := range suites {
		if enabled[c.id] && !dead[c.id] {
			ids = append(ids, c.id)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("SSL ciphers %q: no suite is left", s)
	}
	return ids, nil
}

// selectSuites finds the suites that have all the words of "A+B".
func selectSuites(word string) (ids []uint16, err error) {
	var want []string
	nothing := false
	for w := range strings.SplitSeq(word, "+") {
		if alias, ok := aliases[w]; ok {
			w = alias
		}
		switch {
		case w == "":
		case slices.ContainsFunc(suites, func(c suite) bool { return c.has(w) }):
			want = append(want, w)
		case slices.Contains(absent, w), strings.Contains(w, "-"), strings.HasPrefix(w, "TLS_"):
			nothing = true // a suite that we do not have
		default:
			return nil, fmt.Errorf("unknown word %q", w)
		}
	}
	if nothing {
		return nil, nil
	}
	for _, c := range suites {
		if !slices.ContainsFunc(want, func(w string) bool { return !c.has(w) }) {
			ids = append(ids, c.id)
		}
	}
	return ids, nil
}

func (c *suite) has(word string) bool { return slices.Contains(strings.Fields(c.words), word) }
