package lab

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

var errQuote = errors.New("a quote is not closed")

// SplitWords cuts a command line into words as a shell does for plain text:
// blanks separate, '...' and "..." keep blanks, a backslash outside of '...'
// takes the next character as it is.
func SplitWords(s string) ([]string, error) {
	var words []string
	var b strings.Builder
	inWord, quote := false, byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'':
			i++
			if i == len(s) {
				return nil, errQuote
			}
			b.WriteByte(s[i])
			inWord = true
		case quote != 0:
			b.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if inWord {
				words = append(words, b.String())
				b.Reset()
				inWord = false
			}
		default:
			b.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, errQuote
	}
	if inWord {
		words = append(words, b.String())
	}
	return words, nil
}

// ovsString quotes a value for the database commands of ovs-vsctl and
// ovn-nbctl, where a string is either a plain word or in JSON's quotes.
func ovsString(s string) string { return strconv.Quote(s) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
