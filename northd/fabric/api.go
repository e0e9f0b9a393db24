package fabric

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"govn/proto"
	"govn/proto/state"
)

// Scope says where an item is sent.
type Scope struct {
	Datapath uint32 // tunnel key; every chassis where it is local
	Port     uint32 // not 0: only the chassis where this port is resident
}

// Key names an item.
type Key = state.Key

// ItemChange puts an item or takes it back. A key is in one scope at a time: a
// put under another scope moves the item, and taking it back from a scope where
// it no longer is does nothing.
type ItemChange struct {
	Scope    Scope
	Key      Key
	Value    []byte   // nil: gone. Not to be written to any more
	Hash     [16]byte // of northd's, for its own use; the fabric hashes Value
	Critical bool     // a controller that does not know the kind has to say so
}

// BodyChange makes a body known or forgets it. A body is known before the
// units that name it come in the same or a later batch, and is forgotten when
// none does any more.
type BodyChange struct {
	Hash  [16]byte // key of the BODY item
	Value []byte   // nil: gone. Not to be written to any more
}

// Binding says which chassis a port is bound to.
type Binding struct {
	Datapath, Port uint32 // tunnel keys
	Chassis        string // empty: unbound
	Up             bool   // the flows of the port are in on Chassis
	// Additional are further chassis that the port is bound to, while its
	// workload moves. All see them at once: what they are sent too, they may
	// lose until their flows are in.
	Additional []string
	// Encaps are the encapsulations by which interfaces of the port want to be
	// reached, as CHASSIS@IP, in order.
	Encaps []string
}

// ChassisInfo is what the others need to know of a chassis.
type ChassisInfo struct {
	Name  string
	Value []byte // a proto.Chassis. Not to be written to any more
	Gone  bool
}

// Link connects two datapaths, as the two ends of a patch do. It has no
// direction.
type Link struct {
	A, B   uint32   // tunnel keys
	Port   uint32   // tells several links between the same two datapaths apart
	Border bool     // locality does not cross it, but for Hosts
	Hosts  []string // chassis for which it is no border: those that may host its far side. Not to be written to any more
	Gone   bool
}

// HAGroup is chassis that may host ports, of which each chassis decides by what
// it sees of the others. A PORT item that names the group in ha_group is
// resident, as far as the fabric is concerned, on every member, whatever its
// binding says: a member has to be ready to take over.
type HAGroup struct {
	Key     string   // of the HA_GROUP item
	Members []string // names of chassis. Not to be written to any more
	Value   []byte   // a proto.HAGroup; nil: gone. Not to be written to any more
}

// HAUsers are the chassis that send to the chassisredirect ports of a group: those
// that the routers of the ports are on, without the members of the group.
type HAUsers struct {
	Group   string   // key of the HA_GROUP item
	Chassis []string // names, in order
}

// Batch is what one revision changed.
type Batch struct {
	Revision uint64 // of the database; does not fall
	NbCfg    int64  // NB_Global.nb_cfg at the revision
	Bodies   []BodyChange
	Items    []ItemChange
	Bindings []Binding
	Chassis  []ChassisInfo
	Links    []Link
	HAGroups []HAGroup
}

// Events is what northd learns from the chassis. The methods are called from
// the streams' goroutines and must not block for long. The messages belong to
// the receiver.
type Events interface {
	// Hello is called before a stream is accepted; an error refuses it and its
	// text goes to the chassis.
	Hello(name string, h *proto.Hello) error
	// Report is called for what changed on a chassis since Hello.
	Report(name string, r *proto.Report)
	// Acked is called for every acknowledgement.
	Acked(name string, a *proto.Ack)
	// Lost is called when the stream of a chassis ended and no other one took
	// its place.
	Lost(name string, at time.Time)
}

// Options are the options of New.
type Options struct {
	Logger  *slog.Logger // optional; default slog.Default
	Cluster [16]byte     // required: id of the databases
	Term    uint64       // required: leader term
	Events  Events       // optional

	// WaitDurable returns when the revision survives a crash. Optional; without
	// it every revision counts as durable.
	WaitDurable func(ctx context.Context, revision uint64) error

	Registry prometheus.Registerer // optional: where the metrics go
	Now      func() time.Time      // optional: time.Now

	LogKeys      int           // optional: changed keys that the log of a datapath holds; default 4096, negative: none
	MaxSnapshots int           // optional: snapshots that are sent at a time; default 8
	ChunkSize    int           // optional: bytes of a chunk; default state.MaxChunk
	HelloTimeout time.Duration // optional: until Hello has to be there; default 10 s
	SendTimeout  time.Duration // optional: for the transport to take one frame; default 2 min
	ReportRate   float64       // optional: entries of reports per second and chassis; default 2000
	ReportBurst  float64       // optional: entries at once; default 100000
	ResyncDelay  time.Duration // optional: before the second of two resyncs in a row, doubled each time up to 30 s; default 100 ms
}

// ChassisStatus is the state of a chassis, for people.
type ChassisStatus struct {
	Name      string
	Connected bool
	Since     time.Time // of the connection or its loss
	Sent      uint64    // revision of the last frame
	Received  uint64    // revision that the chassis has
	Applied   uint64    // revision whose flows are in Open vSwitch
	Failed    []*proto.Failure
	Backlog   int    // revisions that concern the chassis and are not sent yet
	BytesSent uint64 // on this connection, before compression and framing
	Resyncs   uint64
	Local     int // local datapaths
}
