package geneve

import (
	"encoding/binary"
	"fmt"
)

// Problem is what is wrong with a header, for tools that show broken packets.
type Problem struct {
	Offset int    // from the start of the header, bytes
	Err    error  // one of the Err values of this package
	Detail string // what was found and what was expected
	Fatal  bool   // what follows cannot be found
}

func (p *Problem) Error() string { return fmt.Sprintf("byte %d: %v: %s", p.Offset, p.Err, p.Detail) }

// Unwrap returns Err.
func (p *Problem) Unwrap() error { return p.Err }

// Inspect reads what can be read of a header, where Decode would refuse it, and
// tells all that is wrong. Options that cannot be read are left out of the
// header. After a fatal problem there is no payload. Bits that are reserved are
// ignored, as a receiver must.
func Inspect(b []byte) (h Header, payload []byte, problems []Problem) {
	bad := func(at int, err error, fatal bool, format string, args ...any) {
		problems = append(problems, Problem{Offset: at, Err: err, Detail: fmt.Sprintf(format, args...), Fatal: fatal})
	}
	if len(b) < HeaderLen {
		bad(len(b), ErrTruncated, true, "%d of %d bytes", len(b), HeaderLen)
		return h, nil, problems
	}
	h = Header{
		Control:  b[1]&0x80 != 0,
		Critical: b[1]&0x40 != 0,
		Protocol: binary.BigEndian.Uint16(b[2:]),
		VNI:      VNI(binary.BigEndian.Uint32(b[4:]) >> 8),
	}
	if v := b[0] >> 6; v != 0 {
		bad(0, ErrVersion, true, "version %d", v)
		return h, nil, problems
	}
	end := HeaderLen + int(b[0]&0x3f)*4
	if len(b) < end {
		bad(len(b), ErrTruncated, true, "%d of %d bytes of options", len(b)-HeaderLen, end-HeaderLen)
		end = len(b)
	} else {
		payload = b[end:]
	}
	critical, at := -1, HeaderLen
	for at < end {
		n := optionLen(b[at:end])
		if n < 0 {
			if payload != nil {
				bad(at, ErrOption, false, "%s", tooLong(b[at:end]))
			}
			break
		}
		if b[at+2]&criticalBit != 0 && critical < 0 {
			critical = at
		}
		at += n
	}
	h.Options = b[HeaderLen:at:at]
	switch {
	case critical >= 0 && !h.Critical:
		bad(critical, ErrCriticalBit, false, "the option is critical, and the C bit is 0")
	case critical < 0 && h.Critical && at == end && payload != nil:
		bad(1, ErrCriticalBit, false, "the C bit is 1, and no option is critical")
	}
	return h, payload, problems
}

// tooLong says why the first option does not fit.
func tooLong(o []byte) string {
	if len(o) < OptionHeaderLen {
		return fmt.Sprintf("%d bytes are left for the header of an option", len(o))
	}
	return fmt.Sprintf("an option of %d bytes where %d are left", OptionHeaderLen+int(o[3]&0x1f)*4, len(o))
}

// classes are the option classes that IANA has assigned ("Geneve Option Class",
// RFC 8926, section 7).
var classes = []struct {
	first, last uint16
	name        string
}{
	{0x0000, 0x00ff, "Standard"},
	{0x0100, 0x0100, "Linux"},
	{0x0101, 0x0101, "Open vSwitch"},
	{0x0102, 0x0102, "Open Virtual Networking (OVN)"},
	{0x0103, 0x0103, "In-band Network Telemetry (INT)"},
	{0x0104, 0x0104, "VMware"},
	{0x0105, 0x0105, "Amazon.com, Inc."},
	{0x0106, 0x0106, "Cisco Systems, Inc."},
	{0x0107, 0x0107, "Oracle Corporation"},
	{0x0108, 0x0110, "Amazon.com, Inc."},
	{0x0111, 0x0118, "IBM"},
	{0x0119, 0x0128, "Ericsson"},
	{0x0129, 0x0129, "Oxide Computer Company"},
	{0x0130, 0x0131, "Cisco Systems, Inc."},
	{0x0132, 0x0135, "Google LLC"},
	{0x0136, 0x0136, "InfoQuick Global Connection Tech Ltd."},
	{0xff00, 0xffff, "Experimental"},
}

// ClassName is who an option class is assigned to, "Unassigned" for nobody.
func ClassName(class uint16) string {
	for _, c := range classes {
		if class >= c.first && class <= c.last {
			return c.name
		}
	}
	return "Unassigned"
}
