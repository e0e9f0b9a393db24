package incr

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"unsafe"
)

// comparer orders two values of one type that the pointers point to.
type comparer func(a, b unsafe.Pointer) int

// orderOf derives a total order of K, once, when a query, unit, sink or
// collection is registered: integers, floats, bools and strings by value,
// arrays and structs field by field, netip addresses by their own order.
// What holds an interface or a pointer is ordered by its printed text; give
// [Order] where that is not good enough.
//
// The order takes pointers, so that comparing copies and allocates nothing.
func orderOf[K comparable]() func(a, b *K) int {
	c := comparerOf(reflect.TypeFor[K]())
	return func(a, b *K) int { return c(unsafe.Pointer(a), unsafe.Pointer(b)) }
}

func ordered[T cmp.Ordered](a, b unsafe.Pointer) int { return cmp.Compare(*(*T)(a), *(*T)(b)) }

func comparerOf(t reflect.Type) comparer {
	switch t {
	case reflect.TypeFor[netip.Addr]():
		return func(a, b unsafe.Pointer) int { return (*netip.Addr)(a).Compare(*(*netip.Addr)(b)) }
	case reflect.TypeFor[netip.AddrPort]():
		return func(a, b unsafe.Pointer) int { return (*netip.AddrPort)(a).Compare(*(*netip.AddrPort)(b)) }
	case reflect.TypeFor[netip.Prefix]():
		return func(a, b unsafe.Pointer) int {
			x, y := (*netip.Prefix)(a), (*netip.Prefix)(b)
			if c := x.Addr().Compare(y.Addr()); c != 0 {
				return c
			}
			return cmp.Compare(x.Bits(), y.Bits())
		}
	}
	switch t.Kind() {
	case reflect.Bool:
		return func(a, b unsafe.Pointer) int { return cmp.Compare(*(*uint8)(a), *(*uint8)(b)) }
	case reflect.Int:
		return ordered[int]
	case reflect.Int8:
		return ordered[int8]
	case reflect.Int16:
		return ordered[int16]
	case reflect.Int32:
		return ordered[int32]
	case reflect.Int64:
		return ordered[int64]
	case reflect.Uint:
		return ordered[uint]
	case reflect.Uint8:
		return ordered[uint8]
	case reflect.Uint16:
		return ordered[uint16]
	case reflect.Uint32:
		return ordered[uint32]
	case reflect.Uint64:
		return ordered[uint64]
	case reflect.Uintptr:
		return ordered[uintptr]
	case reflect.Float32:
		return ordered[float32]
	case reflect.Float64:
		return ordered[float64]
	case reflect.String:
		return ordered[string]
	case reflect.Array:
		return arrayComparer(t)
	case reflect.Struct:
		return structComparer(t)
	default:
		return func(a, b unsafe.Pointer) int {
			x, y := reflect.NewAt(t, a).Elem(), reflect.NewAt(t, b).Elem()
			return strings.Compare(fmt.Sprint(x), fmt.Sprint(y))
		}
	}
}

func arrayComparer(t reflect.Type) comparer {
	n, size := t.Len(), t.Elem().Size()
	if t.Elem().Kind() == reflect.Uint8 {
		return func(a, b unsafe.Pointer) int {
			return bytes.Compare(unsafe.Slice((*byte)(a), n), unsafe.Slice((*byte)(b), n))
		}
	}
	each := comparerOf(t.Elem())
	return func(a, b unsafe.Pointer) int {
		for i := range uintptr(n) {
			if c := each(unsafe.Add(a, i*size), unsafe.Add(b, i*size)); c != 0 {
				return c
			}
		}
		return 0
	}
}

func structComparer(t reflect.Type) comparer {
	type field struct {
		offset  uintptr
		compare comparer
	}
	var fields []field
	for i := range t.NumField() {
		if f := t.Field(i); f.Type.Size() > 0 {
			fields = append(fields, field{f.Offset, comparerOf(f.Type)})
		}
	}
	return func(a, b unsafe.Pointer) int {
		for _, f := range fields {
			if c := f.compare(unsafe.Add(a, f.offset), unsafe.Add(b, f.offset)); c != 0 {
				return c
			}
		}
		return 0
	}
}
