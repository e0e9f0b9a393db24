package state

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"

	"govn/proto"
)

// Hash identifies an item or a body: the first 16 bytes of a SHA-256.
type Hash = [16]byte

// Key names an item.
type Key struct {
	Kind proto.Kind
	Key  string // the bytes of the item's key
}

// ItemHash is the digest of one item: the first 16 bytes of SHA-256 over kind
// (4 bytes, big endian), length of key (4 bytes), key and value.
func ItemHash(kind proto.Kind, key string, value []byte) Hash {
	h := sha256.New()
	buf := make([]byte, 8, 8+len(key))
	binary.BigEndian.PutUint32(buf, uint32(kind))
	binary.BigEndian.PutUint32(buf[4:], uint32(len(key)))
	h.Write(append(buf, key...))
	h.Write(value)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return Hash(sum[:16])
}

// BodyHash is the key of a body: the first 16 bytes of SHA-256 over its value.
func BodyHash(value []byte) Hash {
	sum := sha256.Sum256(value)
	return Hash(sum[:16])
}

// Digest is the sum of item hashes: two big-endian 64-bit words, each added
// modulo 2^64. The zero value is the digest of the empty state.
type Digest [2]uint64

// DigestOf is the digest of a single item with the given hash.
func DigestOf(h Hash) Digest {
	return Digest{binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:])}
}

// Add returns the digest of both sets of items.
func (d Digest) Add(e Digest) Digest { return Digest{d[0] + e[0], d[1] + e[1]} }

// Sub is the inverse of Add.
func (d Digest) Sub(e Digest) Digest { return Digest{d[0] - e[0], d[1] - e[1]} }

// Bytes is the digest as it is in frames and Hello.
func (d Digest) Bytes() [16]byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], d[0])
	binary.BigEndian.PutUint64(b[8:], d[1])
	return b
}

// GroupKey is the key of a GROUP item: groups are shared by the datapaths that
// use them, and each has its own item.
func GroupKey(datapath, id uint32) string { return PortKey(datapath, id) }

// ParseGroupKey is the inverse of GroupKey; ok tells whether key is one.
func ParseGroupKey(key string) (datapath, id uint32, ok bool) { return ParsePortKey(key) }

// PortKey is the key of a PORT item.
func PortKey(datapath, port uint32) string {
	var b [8]byte
	binary.BigEndian.PutUint32(b[:4], datapath)
	binary.BigEndian.PutUint32(b[4:], port)
	return string(b[:])
}

// ParsePortKey is the inverse of PortKey; ok tells whether key is one.
func ParsePortKey(key string) (datapath, port uint32, ok bool) {
	if len(key) != 8 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32([]byte(key[:4])), binary.BigEndian.Uint32([]byte(key[4:])), true
}

// DatapathKey is the key of a DATAPATH item.
func DatapathKey(datapath uint32) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], datapath)
	return string(b[:])
}

// ParseDatapathKey is the inverse of DatapathKey; ok tells whether key is one.
func ParseDatapathKey(key string) (datapath uint32, ok bool) {
	if len(key) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32([]byte(key)), true
}

// FdbKey is the key of an FDB item; mac is in the low 48 bits.
func FdbKey(datapath uint32, mac uint64) string {
	var b [12]byte
	binary.BigEndian.PutUint32(b[:4], datapath)
	binary.BigEndian.PutUint64(b[4:], mac)
	return string(b[:4]) + string(b[6:])
}

// ParseFdbKey is the inverse of FdbKey; ok tells whether key is one.
func ParseFdbKey(key string) (datapath uint32, mac uint64, ok bool) {
	if len(key) != 10 {
		return 0, 0, false
	}
	mac = uint64(binary.BigEndian.Uint16([]byte(key[4:6])))<<32 | uint64(binary.BigEndian.Uint32([]byte(key[6:])))
	return binary.BigEndian.Uint32([]byte(key[:4])), mac, true
}

// fixedNeighbour ends the key of a neighbour that is fixed.
const fixedNeighbour = "\x01"

// NeighbourKey is the key of a NEIGHBOUR item: an address behind a router port.
// A fixed one and a learned one of the same address are two items.
func NeighbourKey(datapath, port uint32, ip netip.Addr, fixed bool) string {
	key := PortKey(datapath, port) + string(ip.AsSlice())
	if fixed {
		key += fixedNeighbour
	}
	return key
}

// ParseNeighbourKey is the inverse of NeighbourKey; ok tells whether key is one.
func ParseNeighbourKey(key string) (datapath, port uint32, ip netip.Addr, fixed, ok bool) {
	if len(key) < 8 {
		return 0, 0, ip, false, false
	}
	datapath, port, _ = ParsePortKey(key[:8])
	rest := key[8:]
	if fixed = len(rest) == 5 || len(rest) == 17; fixed {
		if rest[len(rest)-1:] != fixedNeighbour {
			return 0, 0, ip, false, false
		}
		rest = rest[:len(rest)-1]
	}
	ip, ok = netip.AddrFromSlice([]byte(rest))
	return datapath, port, ip, fixed, ok
}

// HAUserKey is the key of an HA_USER item.
func HAUserKey(datapath uint32, chassis string) string { return DatapathKey(datapath) + chassis }

// ParseHAUserKey is the inverse of HAUserKey; ok tells whether key is one.
func ParseHAUserKey(key string) (datapath uint32, chassis string, ok bool) {
	if len(key) <= 4 {
		return 0, "", false
	}
	datapath, ok = ParseDatapathKey(key[:4])
	return datapath, key[4:], ok
}

// BFDKey is the key of a BFD item: a router port, and the address of the peer.
func BFDKey(datapath, port uint32, peer netip.Addr) string {
	return PortKey(datapath, port) + string(peer.AsSlice())
}

// ParseBFDKey is the inverse of BFDKey; ok tells whether key is one.
func ParseBFDKey(key string) (datapath, port uint32, peer netip.Addr, ok bool) {
	if len(key) < 8 {
		return 0, 0, peer, false
	}
	datapath, port, _ = ParsePortKey(key[:8])
	peer, ok = netip.AddrFromSlice([]byte(key[8:]))
	return datapath, port, peer, ok
}
