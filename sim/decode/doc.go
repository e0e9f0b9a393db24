// Package decode reads packet captures and says what is in them: the headers
// of the underlay, the Geneve header with what OVN puts into it, and the packet
// inside, which may hold Geneve again.
//
//	PCAP --> File.Next --> Frame --> Decoder.Decode --> Packet --> Text, JSON
//	                                     ^
//	                 names: Zone (a southbound database)
//
// # Names
//
// A VNI is a number that each zone gives out for itself, so it has a name only
// together with the tunnel endpoints: a Geneve header between two chassis of a
// [Zone] is explained by that zone's datapaths and ports. Headers between
// other addresses, such as a workload's own tunnels, are shown as they are.
//
// # Broken packets
//
// What cannot be decoded is a [Problem]: the layer, the byte of the frame and
// the reason. What came before it is shown, and what follows if that can be
// found. A frame that the capture cut short is not called broken.
//
// # Invariants
//
//   - No input makes the package panic or use memory beyond a small multiple of
//     the frame; the fuzz targets look for that.
//   - Offsets are from the start of the frame, in bytes.
//
// # Adding a protocol
//
// A protocol is one function that takes the bytes and returns what follows; it
// is put into the table of the layer below it (by EtherType, IP protocol or
// port). See udp in transport.go.
package decode
