package ovsdb

import (
	"errors"
	"fmt"
)

// The error strings of RFC 7047 section 3.1 (<error>) and ovsdb-server(7),
// as found in Error.Kind.
const (
	ErrReferential     = "referential integrity violation"
	ErrConstraint      = "constraint violation"
	ErrResources       = "resources exhausted"
	ErrIO              = "I/O error"
	ErrTimedOut        = "timed out"
	ErrAborted         = "aborted"
	ErrCanceled        = "canceled"
	ErrDomain          = "domain error"
	ErrRange           = "range error"
	ErrNotOwner        = "not owner"
	ErrNotSupported    = "not supported"
	ErrDuplicateName   = "duplicate uuid-name"
	ErrDuplicateUUID   = "duplicate uuid"
	ErrUnknownDatabase = "unknown database"
	ErrUnknownColumn   = "unknown column"
	ErrSyntax          = "syntax error"
	ErrOvsdb           = "ovsdb error"
	ErrPermission      = "permission error"
	ErrUnknownMutator  = "unknown mutator"
	ErrUnknownFunction = "unknown function"
	ErrInternal        = "internal error"
	ErrNotAllowed      = "not allowed"
)

// Error is an error that clients see, as an object with these members.
type Error struct {
	// Kind is the "error" member, one of the Err constants.
	Kind string
	// Details says in prose what is wrong, naming table, row and column.
	Details string
	// Syntax is the JSON that was refused, or "".
	Syntax string
}

// Error is kind and details.
func (e *Error) Error() string {
	s := e.Kind
	if e.Syntax != "" {
		s = fmt.Sprintf("syntax %q: %s", e.Syntax, s)
	}
	if e.Details != "" {
		s += ": " + e.Details
	}
	return s
}

// Is makes errors.Is compare by Kind: errors.Is(err, &Error{Kind: ErrConstraint}).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && (t.Details == "" || t.Details == e.Details)
}

func (e *Error) appendJSON(b []byte) []byte {
	b = append(b, '{')
	if e.Details != "" {
		b = append(appendString(append(b, `"details":`...), e.Details), ',')
	}
	b = appendString(append(b, `"error":`...), e.Kind)
	if e.Syntax != "" {
		b = appendString(append(b, `,"syntax":`...), e.Syntax)
	}
	return append(b, '}')
}

func constraintf(format string, args ...any) *Error {
	return &Error{Kind: ErrConstraint, Details: fmt.Sprintf(format, args...)}
}

func errorf(kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Details: fmt.Sprintf(format, args...)}
}

// asError turns any error into what a client sees of it.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: ErrInternal, Details: err.Error()}
}

var (
	// ErrClosed is returned by a Store and its Subscriptions after Close.
	ErrClosed = errors.New("ovsdb: the store is closed")
	// ErrUnchanged is returned by a function given to Store.Update to give up
	// the transaction without an effect; Update then returns no error.
	ErrUnchanged = errors.New("ovsdb: nothing to change")
)

// inColumn adds to the details of an error in which column a value stood.
func inColumn(err error, c *ColumnSchema) error {
	e := *asError(err)
	e.Details = fmt.Sprintf("%s (column %q of table %q)", e.Details, c.Name, c.Table.Name)
	return &e
}
