package flows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"govn/controller/punt"
	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// Times and sizes of the connection to a bridge.
const (
	dialRetry   = 50 * time.Millisecond // ovs-vswitchd is local and comes back fast
	setupLimit  = 30 * time.Second
	eventLength = 256 // packets not looked at yet; more are dropped
)

// Session is a connection to a bridge that is ready for flows.
type Session struct {
	Target string
	Option int // N of tun_metadataN that the Geneve option is mapped to
	Dump   []openflow.FlowStats
	Groups []openflow.GroupDesc
	conn   *openflow.Conn
}

// Bundle applies messages, all or none; see openflow.Conn.Bundle. When it returns
// Open vSwitch has confirmed that packets meet them.
func (s *Session) Bundle(ctx context.Context, messages []openflow.Message) error {
	return s.conn.Bundle(ctx, messages)
}

// SendPacket sends an Ethernet frame through actions, as if the controller port
// had received it. What becomes of it is not told.
func (s *Session) SendPacket(frame []byte, actions []openflow.Action) error {
	return s.conn.Send(&openflow.PacketOut{Packet: frame, Actions: openflow.EncodeActions(actions)})
}

// Resume lets a paused packet go on.
func (s *Session) Resume(in *openflow.PacketIn) error {
	return s.conn.Send(&openflow.Resume{PacketIn: *in})
}

// Flows asks Open vSwitch what it has and counts. It may be called from any
// goroutine; bundles do not wait for it here, but in Open vSwitch they do.
func (s *Session) Flows(ctx context.Context) ([]openflow.FlowStats, error) {
	return s.conn.DumpFlows(ctx)
}

// Hits asks Open vSwitch for the flows of one table and owner (package abi), with
// what they count.
func (s *Session) Hits(ctx context.Context, table, owner uint8) ([]openflow.FlowStats, error) {
	return s.conn.DumpTable(ctx, table, abi.Cookie(owner, 0, 0), abi.Cookie(0xf, 0, 0))
}

// GroupStats asks Open vSwitch what it counts for groups, as Flows does.
func (s *Session) GroupStats(ctx context.Context) ([]openflow.GroupStats, error) {
	return s.conn.GroupStats(ctx)
}

// Event is one of: a connection, its loss, a packet.
type Event struct {
	Session *Session // of Down
	Up      *Session
	Down    error
	Packet  *punt.Packet
}

// Switch keeps a connection to a bridge alive.
type Switch struct {
	log    *slog.Logger
	punts  *punt.Dispatcher
	target chan string
	events chan Event
}

// NewSwitch makes a switch without a target. Packets that punts does not admit,
// or that nobody takes in time, are no events.
func NewSwitch(log *slog.Logger, punts *punt.Dispatcher) *Switch {
	return &Switch{log: log, punts: punts, target: make(chan string, 1), events: make(chan Event, eventLength)}
}

// SetTarget tells the path of the bridge's management socket. It takes the
// place of an earlier one.
func (s *Switch) SetTarget(path string) {
	select {
	case <-s.target:
	default:
	}
	s.target <- path
}

// Events are what happened, in order.
func (s *Switch) Events() <-chan Event { return s.events }

// Run connects, and connects again, until ctx ends.
func (s *Switch) Run(ctx context.Context) {
	var path string
	for path == "" {
		select {
		case <-ctx.Done():
			return
		case path = <-s.target:
		}
	}
	var told string // the failure that was logged last
	for {
		session, err := s.connect(ctx, path)
		if err == nil {
			told = ""
			path = s.attend(ctx, path, session)
		} else if text := err.Error(); text != told && ctx.Err() == nil {
			told = text
			s.log.Warn("no connection to Open vSwitch", "bridge", path, "err", err)
		}
		timer := time.NewTimer(dialRetry)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case path = <-s.target:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// attend waits for the end of a session and returns the path to go on with.
func (s *Switch) attend(ctx context.Context, path string, session *Session) string {
	defer session.conn.Close()
	if !s.tell(ctx, Event{Up: session}) {
		return path
	}
	for {
		select {
		case <-ctx.Done():
			return path
		case next := <-s.target:
			if next != path {
				s.tell(ctx, Event{Session: session, Down: errors.New("another bridge is configured")})
				return next
			}
		case <-session.conn.Done():
			s.tell(ctx, Event{Session: session, Down: session.conn.Err()})
			return path
		}
	}
}

func (s *Switch) tell(ctx context.Context, e Event) bool {
	select {
	case s.events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

// connect makes a session: connection, map of Geneve options, dump.
func (s *Switch) connect(ctx context.Context, path string) (*Session, error) {
	limit, cancel := context.WithTimeout(ctx, setupLimit)
	defer cancel()
	conn, err := openflow.Dial(limit, "unix:"+path, openflow.ConnOptions{PacketIn: s.packetIn})
	if err != nil {
		return nil, err
	}
	session := &Session{Target: path, conn: conn}
	if err := session.prepare(limit); err != nil {
		conn.Close()
		return nil, err
	}
	return session, nil
}

func (s *Session) prepare(ctx context.Context) error {
	var err error
	if s.Option, err = mapOption(ctx, s.conn); err != nil {
		return err
	}
	if s.Groups, err = s.conn.DumpGroups(ctx); err != nil {
		return err
	}
	s.Dump, err = s.conn.DumpFlows(ctx)
	return err
}

// mapOption finds the field of the Geneve option, or maps the option to the
// lowest field that is free. The map is the bridge's own (other bridges on the
// datapath have theirs, and options of a packet that arrives through a tunnel are
// read by that of the tunnel's bridge), but it outlives the connection, and others
// with a connection to the bridge may have put in options of theirs.
func mapOption(ctx context.Context, conn *openflow.Conn) (int, error) {
	table, err := conn.TLVTable(ctx)
	if err != nil {
		return 0, err
	}
	want := openflow.TLVMap{Class: abi.GeneveOptionClass, Option: abi.GeneveOptionType, Length: abi.GeneveOptionLength}
	taken := map[uint16]bool{}
	for _, m := range table.Maps {
		taken[m.Index] = true
		if m.Class == want.Class && m.Option == want.Option && m.Length != want.Length {
			return 0, fmt.Errorf("the Geneve option is mapped with another length: %v", m)
		}
	}
	for taken[want.Index] {
		want.Index++
	}
	index, err := conn.AddTLVMap(ctx, want)
	if err != nil {
		return 0, err
	}
	if index > maxOptionIndex {
		return 0, fmt.Errorf("the Geneve option is mapped to tun_metadata%d; only 0 to %d are supported", index, maxOptionIndex)
	}
	return int(index), nil
}

// maxOptionIndex is the highest tun_metadata field that package openflow knows.
const maxOptionIndex = 7

// packetIn runs on the connection's reader.
func (s *Switch) packetIn(in *openflow.PacketIn) {
	p := punt.FromMessage(in)
	if !s.punts.Admit(p) {
		return
	}
	select {
	case s.events <- Event{Packet: p}:
	default:
		s.punts.Overflow(p)
	}
}
