package aging

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ErrThreshold is wrapped by the errors of Parse.
var ErrThreshold = errors.New("not a threshold")

// Thresholds says after which time without use an entry goes. The zero value
// keeps all.
type Thresholds struct {
	prefixes []threshold
	rest     time.Duration
}

type threshold struct {
	prefix netip.Prefix
	after  time.Duration
}

// Parse reads thresholds in seconds, in one of the forms of the package's
// comment. With an error it gives those that it could read.
func Parse(text string) (t Thresholds, err error) {
	if strings.TrimSpace(text) == "" {
		return t, nil
	}
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		i := strings.LastIndexByte(part, ':') // an IPv6 prefix has some, too
		n, e := strconv.ParseUint(part[i+1:], 10, 32)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%w: %q is no number of seconds", ErrThreshold, part[i+1:]))
			continue
		}
		after := time.Duration(n) * time.Second
		if i < 0 {
			t.rest = after
			continue
		}
		p, e := netip.ParsePrefix(part[:i])
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%w: %q is no prefix", ErrThreshold, part[:i]))
			continue
		}
		t.prefixes = append(t.prefixes, threshold{p.Masked(), after})
	}
	return t, err
}

// Of is the threshold of an address; 0: its entry stays.
func (t Thresholds) Of(ip netip.Addr) time.Duration {
	after, bits := t.rest, -1
	for _, p := range t.prefixes {
		if p.prefix.Contains(ip) && p.prefix.Bits() > bits {
			after, bits = p.after, p.prefix.Bits()
		}
	}
	return after
}

// Shortest is the least threshold that is not 0; 0: nothing ages.
func (t Thresholds) Shortest() time.Duration {
	least := t.rest
	for _, p := range t.prefixes {
		if p.after > 0 && (least == 0 || p.after < least) {
			least = p.after
		}
	}
	return least
}
