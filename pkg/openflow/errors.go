package openflow

import (
	"errors"
	"fmt"
)

// Errors of decoding and of building matches.
var (
	// ErrMalformed is matched by every error of a decoder: the bytes are not
	// what OpenFlow 1.5 and its Nicira extensions say.
	ErrMalformed = errors.New("malformed OpenFlow")
	// ErrPrerequisite is matched by the error of Match.Validate when a field
	// lacks what it needs, such as tcp_dst without nw_proto 6.
	ErrPrerequisite = errors.New("prerequisite not met")
	// ErrValue is matched by the error of Match.Validate when a value does not
	// fit its field or a mask is not allowed.
	ErrValue = errors.New("bad field value")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// ErrTooLong is returned when a message does not fit into 65,535 bytes.
var ErrTooLong = errors.New("message too long")
