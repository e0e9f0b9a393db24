package control

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Status is a zone at a glance.
type Status struct {
	Cluster  string    `json:"cluster"`  // id of the databases, chosen at their creation
	Term     uint64    `json:"term"`     // of the leader
	Stored   uint64    `json:"stored"`   // revision of the databases
	Compiled uint64    `json:"compiled"` // revision that the compile is at
	Now      time.Time `json:"now"`
	NbCfg    int64     `json:"nb_cfg"`
	SbCfg    int64     `json:"sb_cfg"`
	HvCfg    int64     `json:"hv_cfg"`

	Store     Store      `json:"store"`
	Databases []Database `json:"databases"`
	Chassis   []Chassis  `json:"chassis"`
	Gateways  []Gateway  `json:"gateways"` // ports that one chassis of several hosts
	Switches  int        `json:"switches"`
	Routers   int        `json:"routers"`
	Keys      Keys       `json:"keys"`
	LeftOut   int        `json:"left_out"`  // objects, see the command lint
	Ambiguous int        `json:"ambiguous"` // objects
	Strict    bool       `json:"strict"`
}

// Store is where the databases are kept.
type Store struct {
	Name  string `json:"name"`            // bbolt:FILE or memory
	Bytes int64  `json:"bytes,omitempty"` // on disk, with free pages
}

// String is the store and its size.
func (s Store) String() string {
	if s.Bytes == 0 {
		return s.Name
	}
	return fmt.Sprintf("%s, %d kB", s.Name, (s.Bytes+999)/1000)
}

// Database is one database and its size.
type Database struct {
	Name string `json:"name"`
	Rows int    `json:"rows"`
	// Largest are the tables with most rows.
	Largest []TableSize `json:"largest,omitempty"`
}

// TableSize is a table and its number of rows.
type TableSize struct {
	Table string `json:"table"`
	Rows  int    `json:"rows"`
}

// Chassis is a chassis as northd sees it.
type Chassis struct {
	Name      string    `json:"name"`
	Hostname  string    `json:"hostname,omitempty"`
	Encaps    []string  `json:"encaps"` // TYPE:ADDRESS
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"` // of the connection or its loss; zero: not seen since northd started
	Received  uint64    `json:"received"`       // revision
	Applied   uint64    `json:"applied"`        // revision
	Lag       uint64    `json:"lag"`            // revisions from Applied to Compiled, 0 where none of them concerns the chassis
	Backlog   int       `json:"backlog"`        // revisions that concern it and are not sent
	NbCfg     int64     `json:"nb_cfg"`
	Ports     int       `json:"ports"`     // bound to it
	Datapaths int       `json:"datapaths"` // local to it
	Tunnels   []string  `json:"tunnels"`   // chassis that it has tunnels to
	Resyncs   uint64    `json:"resyncs"`
	Sent      uint64    `json:"bytes_sent"` // on this connection
	Failures  []Failure `json:"failures,omitempty"`
}

// Failure is a body or an item that a chassis left out.
type Failure struct {
	Objects []Object `json:"objects,omitempty"`
	What    string   `json:"what,omitempty"` // where it is no body of northd
	Body    string   `json:"body,omitempty"` // hash
	Flow    uint32   `json:"flow"`           // index in the body
	Cookie  string   `json:"cookie,omitempty"`
	Error   string   `json:"error"`
}

// Keys is the use of tunnel keys.
type Keys struct {
	Datapaths KeyUse       `json:"datapaths"`
	Ports     []SwitchKeys `json:"ports"` // of the fullest switches and routers
	Resting   int          `json:"resting"`
}

// KeyUse is the use of one range.
type KeyUse struct {
	Used    int `json:"used"`
	Resting int `json:"resting"` // given back, and not free before every chassis has acknowledged that
	Waiting int `json:"waiting"` // objects that got none
	Limit   int `json:"limit"`
}

// SwitchKeys is the use of a switch's or router's range of port keys.
type SwitchKeys struct {
	Switch string `json:"switch"`
	KeyUse
}

// String is the use in a few words.
func (k KeyUse) String() string {
	s := fmt.Sprintf("%d of %d", k.Used, k.Limit)
	if k.Resting > 0 {
		s += fmt.Sprintf(" (%d resting)", k.Resting)
	}
	if k.Waiting > 0 {
		s += fmt.Sprintf(" (%d WAITING)", k.Waiting)
	}
	return s
}

// WriteText writes the zone as tables.
func (s *Status) WriteText(w io.Writer) error {
	e := errWriter{w: w}
	e.printf("zone %s, term %d\n", s.Cluster, s.Term)
	e.printf("revision: %d stored, %d compiled\n", s.Stored, s.Compiled)
	if s.Store.Name != "" {
		e.printf("store: %v\n", s.Store)
	}
	e.printf("configuration: nb_cfg %d, sb_cfg %d, hv_cfg %d", s.NbCfg, s.SbCfg, s.HvCfg)
	for i := range s.Chassis {
		if c := &s.Chassis[i]; c.NbCfg < s.NbCfg {
			e.printf(", %s at %d", c.Name, c.NbCfg)
		}
	}
	e.printf("\n")
	e.printf("network: %s, %s\n", count(s.Switches, "switch", "switches"), count(s.Routers, "router", "routers"))
	switch {
	case s.LeftOut+s.Ambiguous == 0:
		e.printf("objects: all are used\n")
	default:
		e.printf("objects: %d left out, %d ambiguous; \"govn lint\" lists them\n", s.LeftOut, s.Ambiguous)
	}
	e.printf("keys: datapaths %v; ports", s.Keys.Datapaths)
	for _, k := range s.Keys.Ports {
		e.printf(" %s %v", k.Switch, k.KeyUse)
	}
	e.printf("; %d resting in all\n\n", s.Keys.Resting)
	if e.err != nil {
		return e.err
	}
	if err := s.databases(w); err != nil {
		return err
	}
	e.printf("\n")
	if err := s.chassis(w); err != nil {
		return err
	}
	s.failures(&e)
	if e.err != nil {
		return e.err
	}
	return s.gateways(w)
}

func (s *Status) databases(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "DATABASE\tROWS\tLARGEST")
	for _, d := range s.Databases {
		var largest []string
		for _, x := range d.Largest {
			largest = append(largest, fmt.Sprintf("%s %d", x.Table, x.Rows))
		}
		fmt.Fprintf(t, "%s\t%d\t%s\n", d.Name, d.Rows, dash(strings.Join(largest, ", ")))
	}
	return t.Flush()
}

func (s *Status) chassis(w io.Writer) error {
	if len(s.Chassis) == 0 {
		_, err := fmt.Fprintln(w, "no chassis is registered")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "CHASSIS\tSTATE\tENCAPSULATION\tPORTS\tDATAPATHS\tTUNNELS\tRECEIVED\tAPPLIED\tLAG\tNB_CFG\tFAILED")
	for i := range s.Chassis {
		c := &s.Chassis[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", c.Name, c.state(s.Now), dash(strings.Join(c.Encaps, " ")),
			c.Ports, c.Datapaths, len(c.Tunnels), c.Received, c.Applied, c.Lag, c.NbCfg, len(c.Failures))
	}
	return t.Flush()
}

func (c *Chassis) state(now time.Time) string {
	switch {
	case c.Since.IsZero():
		return "not seen"
	case c.Connected:
		return "up " + age(now.Sub(c.Since))
	}
	return "DOWN " + age(now.Sub(c.Since))
}

func (s *Status) failures(e *errWriter) {
	for i := range s.Chassis {
		if list := s.Chassis[i].Failures; len(list) > 0 {
			e.printf("\nchassis %s:\n", s.Chassis[i].Name)
			writeFailures(e, list)
		}
	}
}

// age is a duration as people say it: two units at most.
func age(d time.Duration) string {
	d = max(0, d.Round(time.Second))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func sortedKinds() []string {
	var words []string
	for k := range kinds {
		words = append(words, k)
	}
	slices.Sort(words)
	return words
}
