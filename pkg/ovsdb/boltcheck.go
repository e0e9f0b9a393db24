package ovsdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
)

// What bbolt reads it believes: a page that is not what was written makes it
// panic, in a goroutine where nobody can recover, or read outside of the file.
// So before bbolt sees a file, boltCheck has walked all that can be reached:
//
//	page    id(8) flags(2) count(2) overflow(4), elements, their bytes
//	meta    after the header: magic(4) version(4) page size(4) flags(4)
//	        root bucket(16) freelist(8) end(8) transaction(8) fnv64a(8)
//	branch  elements of where(4) key size(4) page(8)
//	leaf    elements of flags(4) where(4) key size(4) value size(4)
//	bucket  a value: root page(8) sequence(8); root 0: a page follows inline
//
// "where" counts from the element. Integers are in the machine's order. Pages
// have no checksums, but what they hold has, and their structure is checked
// down to the byte; what still escapes, such as a list of entries that ends early, the
// engine and the loader find by comparing.
const (
	boltHeader  = 16
	boltElement = 16
	boltMagic   = 0xED0CDAED
	boltVersion = 2
	boltBranch  = 0x01
	boltLeaf    = 0x02
	boltDepth   = 64
)

// boltShape is what a bbolt file consists of.
type boltShape struct {
	pageSize int64
	size     int64  // of the file
	end      uint64 // pages; what is above is not in use yet
	used     uint64 // pages that can be reached
	txid     uint64
	spoiled  int // the meta page that is not valid, or -1
}

// boltChecker walks the pages of one file.
type boltChecker struct {
	boltShape
	r    io.ReaderAt
	root uint64
	seen []uint64 // a bit for each page
	leaf []byte   // for leaves of buckets
	// visit sees each element of each bucket but those that are buckets.
	visit func(bucket string, key, value []byte) error
}

// boltCheck verifies a bbolt file of a size. visit is optional; it is called for each
// key and value, with the name of the bucket ("" for the root).
func boltCheck(r io.ReaderAt, size int64, visit func(bucket string, key, value []byte) error) (boltShape, error) {
	c := &boltChecker{boltShape: boltShape{size: size, spoiled: -1}, r: r, visit: visit}
	if err := c.metas(); err != nil {
		return c.boltShape, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	c.seen = make([]uint64, c.end/64+1)
	c.used = 2
	if err := c.walk("", c.root, nil, nil, 0, true); err != nil {
		return c.boltShape, err
	}
	return c.boltShape, nil
}

// metas reads both meta pages and takes the later one that is valid.
func (c *boltChecker) metas() error {
	if c.size == 0 {
		return fmt.Errorf("the file is empty")
	}
	first, err0 := c.meta(0)
	var second *boltMetaPage
	var err1 error
	if first != nil {
		second, err1 = c.meta(first.pageSize)
	} else {
		for size := int64(1024); size <= 1<<24 && second == nil; size *= 2 {
			if second, err1 = c.meta(size); second != nil && second.pageSize != size {
				second = nil
			}
		}
	}
	m := first
	switch {
	case first == nil && second == nil:
		return fmt.Errorf("neither page 0 nor page 1 begins a database: %w", err0)
	case first == nil:
		m, c.spoiled = second, 0
	case second == nil:
		if c.size < 2*first.pageSize {
			return fmt.Errorf("the file is truncated to %d bytes: %w", c.size, err1)
		}
		c.spoiled = 1
	case second.txid > first.txid:
		m = second
	}
	c.pageSize, c.end, c.txid, c.root = m.pageSize, m.end, m.txid, m.root
	switch {
	case m.end < 3 || m.end > 1<<40/uint64(m.pageSize):
		return fmt.Errorf("page %d: the database has %d pages", m.txid%2, m.end)
	case c.size < int64(m.end)*m.pageSize:
		return fmt.Errorf("the file is truncated to %d bytes: the database has %d pages of %d", c.size, m.end, m.pageSize)
	}
	return nil
}

type boltMetaPage struct {
	pageSize  int64
	root, end uint64
	txid      uint64
}

func (c *boltChecker) meta(offset int64) (*boltMetaPage, error) {
	var b [boltHeader + 64]byte
	if _, err := c.r.ReadAt(b[:], offset); err != nil {
		return nil, fmt.Errorf("offset %d: %w", offset, err)
	}
	m, n := b[boltHeader:], binary.NativeEndian
	h := fnv.New64a()
	h.Write(m[:56])
	size := int64(n.Uint32(m[8:]))
	switch {
	case n.Uint32(m) != boltMagic:
		return nil, fmt.Errorf("offset %d: no database of bbolt", offset)
	case n.Uint32(m[4:]) != boltVersion:
		return nil, fmt.Errorf("offset %d: version %d of bbolt's format, where %d is known", offset, n.Uint32(m[4:]), boltVersion)
	case n.Uint64(m[56:]) != h.Sum64():
		return nil, fmt.Errorf("offset %d: wrong checksum", offset)
	case size < 1024 || size > 1<<24 || size&(size-1) != 0:
		return nil, fmt.Errorf("offset %d: pages of %d bytes", offset, size)
	}
	return &boltMetaPage{pageSize: size, root: n.Uint64(m[16:]), end: n.Uint64(m[40:]), txid: n.Uint64(m[48:])}, nil
}

// at names a page in errors.
func (c *boltChecker) at(page uint64, format string, args ...any) error {
	return fmt.Errorf("%w: page %d (offset %d): %s", ErrCorrupt, page, int64(page)*c.pageSize, fmt.Sprintf(format, args...))
}

// walk checks a page and what is below it; its keys are at least low, and less
// than high unless that is nil.
func (c *boltChecker) walk(bucket string, page uint64, low, high []byte, depth int, root bool) error {
	switch {
	case page < 2 || page >= c.end:
		return c.at(page, "the database ends at page %d", c.end)
	case depth > boltDepth:
		return c.at(page, "the tree is too deep")
	}
	var head [boltHeader]byte
	if _, err := c.r.ReadAt(head[:], int64(page)*c.pageSize); err != nil {
		return c.at(page, "%v", err)
	}
	n := binary.NativeEndian
	pages := uint64(n.Uint32(head[12:])) + 1
	if id := n.Uint64(head[:]); id != page {
		return c.at(page, "it says that it is page %d", id)
	}
	if pages > c.end-page {
		return c.at(page, "%d pages long, where the database ends at page %d", pages, c.end)
	}
	for p := page; p < page+pages; p++ {
		if c.seen[p/64]&(1<<(p%64)) != 0 {
			return c.at(p, "in use twice")
		}
		c.seen[p/64] |= 1 << (p % 64)
	}
	c.used += pages
	var b []byte
	if size := int64(pages) * c.pageSize; bucket == "" || n.Uint16(head[8:]) != boltLeaf {
		b = make([]byte, size)
	} else { // nothing is read while it is in use
		c.leaf = slices.Grow(c.leaf[:0], int(size))[:size]
		b = c.leaf
	}
	if _, err := c.r.ReadAt(b, int64(page)*c.pageSize); err != nil {
		return c.at(page, "%v", err)
	}
	return c.page(bucket, page, b, low, high, depth, root)
}

// page checks the contents of a page, or of an inline one in it.
func (c *boltChecker) page(bucket string, page uint64, b, low, high []byte, depth int, root bool) error {
	n := binary.NativeEndian
	flags, count := n.Uint16(b[8:]), int(n.Uint16(b[10:]))
	if flags != boltBranch && flags != boltLeaf {
		return c.at(page, "kind %#x", flags)
	}
	if count == 0 && !(flags == boltLeaf && root) {
		return c.at(page, "no elements")
	}
	next := boltHeader + count*boltElement // where the bytes of the next element are
	if next > len(b) {
		return c.at(page, "%d elements in %d bytes", count, len(b))
	}
	key := func(i int) (k []byte, err error) {
		e := b[boltHeader+i*boltElement:]
		where, size := int(n.Uint32(e)), int(n.Uint32(e[4:]))
		if flags == boltLeaf {
			where, size = int(n.Uint32(e[4:])), int(n.Uint32(e[8:]))
		}
		if boltHeader+i*boltElement+where != next || size == 0 || size > len(b)-next {
			return nil, c.at(page, "element %d: key of %d bytes in the wrong place", i, size)
		}
		k = b[next : next+size]
		next += size
		if low != nil && (bytes.Compare(k, low) < 0 || i > 0 && bytes.Equal(k, low)) || high != nil && bytes.Compare(k, high) >= 0 {
			return nil, c.at(page, "element %d: key %x is out of order", i, k)
		}
		low = k
		return k, nil
	}
	if flags == boltBranch {
		return c.branch(bucket, page, b, high, depth, count, key)
	}
	for i := range count {
		k, err := key(i)
		if err != nil {
			return err
		}
		e := b[boltHeader+i*boltElement:]
		size := int(n.Uint32(e[12:]))
		if size > len(b)-next {
			return c.at(page, "element %d: value of %d bytes", i, size)
		}
		v := b[next : next+size]
		next += size
		switch n.Uint32(e) {
		case 0:
			if c.visit != nil {
				if err := c.visit(bucket, k, v); err != nil {
					return err
				}
			}
		case 1:
			if err := c.bucket(bucket, page, i, k, v, depth); err != nil {
				return err
			}
		default:
			return c.at(page, "element %d: kind %#x", i, n.Uint32(e))
		}
	}
	return nil
}

func (c *boltChecker) branch(bucket string, page uint64, b, high []byte, depth, count int, key func(int) ([]byte, error)) error {
	keys := make([][]byte, count)
	for i := range keys {
		var err error
		if keys[i], err = key(i); err != nil {
			return err
		}
	}
	for i, k := range keys {
		upper := high
		if i+1 < count {
			upper = keys[i+1]
		}
		child := binary.NativeEndian.Uint64(b[boltHeader+i*boltElement+8:])
		if err := c.walk(bucket, child, k, upper, depth+1, false); err != nil {
			return err
		}
	}
	return nil
}

// bucket checks the bucket that element i of a page is.
func (c *boltChecker) bucket(parent string, page uint64, i int, name, v []byte, depth int) error {
	if parent != "" || len(v) < 16 {
		return c.at(page, "element %d: bucket %q of %d bytes in bucket %q", i, name, len(v), parent)
	}
	if c.visit != nil {
		if err := c.visit("", name, nil); err != nil {
			return err
		}
	}
	if root := binary.NativeEndian.Uint64(v); root != 0 {
		return c.walk(string(name), root, nil, nil, depth+1, true)
	}
	if inline := v[16:]; len(inline) >= boltHeader && binary.NativeEndian.Uint16(inline[8:]) == boltLeaf {
		return c.page(string(name), page, inline, nil, nil, depth+1, true)
	}
	return c.at(page, "element %d: bucket %q has neither page nor contents", i, name)
}
