package ovsdb

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrClustered is returned for a file in the format of a cluster's member.
var ErrClustered = errors.New(`ovsdb: this is the file of a clustered database; convert it first: ovsdb-tool cluster-to-standalone STANDALONE CLUSTERED`)

// fileLimits are those of a file, which is our own or an operator's.
var fileLimits = jsonLimits{depth: 100, values: 1 << 30}

// maxRecord is the greatest length of a record, in bytes.
const maxRecord = 1 << 32

// ReadFile reads a standalone database file, also when it is gzipped: the
// format of ovsdb(5), which ovsdb-server keeps its databases in and "ovsdb-client backup"
// prints. It is a log:
//
//	OVSDB JSON LENGTH SHA1 \n          of the record, which has its line end
//	{schema}\n
//	OVSDB JSON LENGTH SHA1 \n
//	{"_date": ms, "_comment": text, "_is_diff": true, TABLE: {UUID: row, ...}, ...}\n
//
// A row is null where it is deleted; otherwise it has the columns that are not
// default (a new row) or that change: with "_is_diff" sets and maps by their
// differences. A record that is not whole or has another checksum is an error that
// wraps ErrCorrupt and names the record and its offset, the last one too: what is
// returned is all of the file.
func ReadFile(r io.Reader) (*Contents, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("%w: gzip: %w", ErrCorrupt, err)
		}
		in = bufio.NewReaderSize(z, 1<<16)
	}
	f := &fileReader{in: in}
	for f.record = 0; ; f.record++ {
		v, err := f.next()
		switch {
		case errors.Is(err, io.EOF):
			if f.c == nil {
				return nil, fmt.Errorf("%w: the file is empty", ErrCorrupt)
			}
			return f.c, nil
		case err == nil && f.record == 0:
			var d *DatabaseSchema
			if d, err = parseSchemaValue(v, nil); err == nil {
				f.c = NewContents(d)
			}
		case err == nil:
			err = f.apply(v)
		}
		if errors.Is(err, ErrClustered) {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("%w: record %d at offset %d: %w", ErrCorrupt, f.record, f.start, err)
		}
	}
}

// fileReader reads records.
type fileReader struct {
	in            *bufio.Reader
	c             *Contents
	record        int
	start, offset int64
}

// next reads one record; io.EOF says that there is none.
func (f *fileReader) next() (*jsonValue, error) {
	for { // a record may be followed by empty lines
		b, err := f.in.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("reading: %w", noEOF(err))
		}
		if b != '\n' {
			break
		}
		f.offset++
	}
	if err := f.in.UnreadByte(); err != nil {
		return nil, err
	}
	f.start = f.offset
	var head []byte
	for len(head) == 0 || head[len(head)-1] != '\n' {
		b, err := f.in.ReadByte()
		if err != nil {
			return nil, fmt.Errorf("its first line: %w", noEOF(err))
		}
		if head = append(head, b); len(head) > 100 {
			return nil, fmt.Errorf("%q begins no record", head)
		}
	}
	f.offset += int64(len(head))
	words := strings.Split(strings.TrimSuffix(string(head), "\n"), " ")
	if len(words) != 4 || words[0] != "OVSDB" {
		return nil, fmt.Errorf("%q begins no record", head)
	}
	if words[1] == "CLUSTER" {
		return nil, ErrClustered
	}
	length, err := strconv.ParseInt(words[2], 10, 64)
	if words[1] != "JSON" || err != nil || length <= 0 || length > maxRecord {
		return nil, fmt.Errorf("%q begins no record", head)
	}
	body, err := io.ReadAll(io.LimitReader(f.in, length))
	f.offset += int64(len(body))
	if err != nil {
		return nil, fmt.Errorf("reading: %w", noEOF(err))
	}
	if int64(len(body)) < length {
		return nil, fmt.Errorf("the file is truncated: %d of %d bytes are there", len(body), length)
	}
	if sum := sha1.Sum(body); !strings.EqualFold(hex.EncodeToString(sum[:]), words[3]) {
		return nil, fmt.Errorf("wrong checksum %x, not %s", sum, words[3])
	}
	v, err := parseJSON(string(body), fileLimits)
	if err != nil {
		return nil, err
	}
	if v.kind != jsonObject {
		return nil, errors.New("it is no object")
	}
	return &v, nil
}

// noEOF is the error of something that ends too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// apply replays a transaction.
func (f *fileReader) apply(v *jsonValue) error {
	diff, isDiff := v.member("_is_diff")
	differences := isDiff && diff.kind == jsonBool && diff.text == "true"
	for i := 0; i < len(v.list); i += 2 {
		name := v.list[i].text
		t := f.c.Schema.Tables[name]
		switch rows := &v.list[i+1]; {
		case strings.HasPrefix(name, "_") && t == nil: // _date, _comment
		case t == nil:
			return fmt.Errorf("table %q is not in the schema", name)
		case rows.kind != jsonObject:
			return fmt.Errorf("table %q is no object", name)
		default:
			for j := 0; j < len(rows.list); j += 2 {
				u, err := ParseUUID(rows.list[j].text)
				if err == nil {
					err = f.row(t, u, &rows.list[j+1], differences)
				}
				if err != nil {
					return fmt.Errorf("table %q, row %s: %w", name, rows.list[j].text, err)
				}
			}
		}
	}
	return nil
}

func (f *fileReader) row(t *TableSchema, u UUID, v *jsonValue, differences bool) error {
	rows := f.c.rows[t.id]
	old := rows[u]
	switch v.kind {
	case jsonNull:
		if old == nil {
			return errors.New("it is deleted, and was not there")
		}
		delete(rows, u)
		return nil
	case jsonObject:
	default:
		return errors.New("it is no object")
	}
	r := &Row{table: t, uuid: u}
	if old != nil {
		r.values = slices.Clone(old.values)
	} else {
		r.values = slices.Clone(t.defaults)
	}
	for i := 0; i < len(v.list); i += 2 {
		c := t.columns[v.list[i].text]
		if c == nil {
			return fmt.Errorf("column %q is not in the schema", v.list[i].text)
		}
		var err error
		if old != nil && differences && c.Type.Max > 1 {
			r.values[c.Index], err = c.Type.applyDifference(old.values[c.Index], &v.list[i+1])
		} else {
			r.values[c.Index], err = c.Type.parseValue(&v.list[i+1], nil)
		}
		if err != nil {
			return inColumn(err, c)
		}
	}
	rows[u] = r
	return nil
}

// applyDifference returns the value that differs from old as v says: elements
// that are in one of them only, and pairs of a map that are new, changed, or
// there as they were, which removes them.
func (t *ColumnType) applyDifference(old Value, v *jsonValue) (Value, error) {
	free := *t
	free.Min, free.Max = 0, Unlimited
	d, err := free.parseValue(v, nil)
	if err != nil {
		return nil, err
	}
	switch was := old.(type) {
	case Set:
		for a := range d.(Set).All() {
			if was.Has(a) {
				was = was.Without(a)
			} else {
				was = was.With(a)
			}
		}
		return was, t.checkLen(was.Len())
	case Map:
		for k, e := range d.(Map).All() {
			if before, ok := was.Get(k); ok && compareAtoms(before, e) == 0 {
				was = was.Without(k)
			} else {
				was = was.With(k, e)
			}
		}
		return was, t.checkLen(was.Len())
	}
	return d, nil
}

// WriteFile writes the contents as a standalone database file, which
// ovsdb-server serves, ovsdb-tool reads and "ovsdb-client restore" takes. The
// same contents, comment and date make the same bytes.
func (c *Contents) WriteFile(w io.Writer, comment string, date time.Time) error {
	if err := writeRecord(w, slices.Clone(c.Schema.JSON())); err != nil {
		return err
	}
	b := appendString([]byte(`{"_comment":`), comment)
	b = strconv.AppendInt(append(b, `,"_date":`...), date.UnixMilli(), 10)
	for _, t := range c.Schema.tables {
		if len(c.rows[t.id]) == 0 {
			continue
		}
		columns := slices.DeleteFunc(slices.Clone(t.Columns), func(column *ColumnSchema) bool { return column.Ephemeral })
		b = append(appendString(append(b, ','), t.Name), ":{"...)
		first := true
		for r := range c.Rows(t) {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(appendString(b, r.uuid.String()), ':')
			b = r.appendColumns(b, columns, true)
		}
		b = append(b, '}')
	}
	return writeRecord(w, append(b, '}'))
}

func writeRecord(w io.Writer, b []byte) error {
	b = append(b, '\n')
	sum := sha1.Sum(b)
	head := fmt.Appendf(nil, "OVSDB JSON %d %x\n", len(b), sum)
	if _, err := io.Copy(w, io.MultiReader(bytes.NewReader(head), bytes.NewReader(b))); err != nil {
		return fmt.Errorf("ovsdb: write: %w", err)
	}
	return nil
}
