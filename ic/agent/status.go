package agent

import "time"

// Status is what the agent knows of the links of its zone: what ic/status of the
// control socket prints.
type Status struct {
	Zone      string     `json:"zone"` // NB_Global:name
	ID        string     `json:"id"`   // 32 hexadecimal digits
	Strict    bool       `json:"strict"`
	Centre    *Centre    `json:"centre,omitempty"` // absent where databases of the interconnection are used
	Databases []Database `json:"databases"`
	Links     []Link     `json:"links"`
	// Refusals are what the centre does not take: one of each kind and reason, all
	// with --routes.
	Refusals []Refusal `json:"refusals,omitempty"`
	// Problems are what is not as it should be, a line each.
	Problems []string `json:"problems,omitempty"`
}

// Centre is the connection to the interconnection's service.
type Centre struct {
	Remote    string    `json:"remote"`
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"` // of that state
	Lease     string    `json:"lease,omitempty"`
	Heard     time.Time `json:"heard,omitzero"` // its last message
	Revision  uint64    `json:"revision"`
	Attempts  uint64    `json:"attempts"`
	LastError string    `json:"last_error,omitempty"`
}

// Database is the connection to a database.
type Database struct {
	Name      string    `json:"name"`
	Remote    string    `json:"remote"`
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"` // of that state
	Busy      bool      `json:"busy,omitempty"` // a transaction has no answer yet
}

// Link is a transit switch.
type Link struct {
	Switch   string       `json:"switch"`
	Key      int          `json:"key"` // of the datapath, on the wire the VNI; 0: none yet
	Gateways []Gateway    `json:"gateways"`
	Ports    []Port       `json:"ports"`
	Routes   []RouteCount `json:"routes"`        // what becomes of them
	Out      []Route      `json:"out,omitempty"` // what others are told; with --routes only
	In       []Route      `json:"in,omitempty"`  // what others tell; with --routes only
	// Conflicts are one of each router, kind and zone whose route is used, all with
	// --routes.
	Conflicts []Conflict `json:"conflicts,omitempty"`
}

// Directions of routes.
const (
	directionOut = "out" // told to others
	directionIn  = "in"  // told by others
)

// RouteCount is how many routes of a zone one thing becomes of, at a router.
type RouteCount struct {
	Direction string `json:"direction"` // out, in
	Router    string `json:"router"`    // of this zone
	Zone      string `json:"zone"`      // whose they are
	Status    Reason `json:"status"`
	Detail    string `json:"detail,omitempty"` // which list, which zone
	Count     int    `json:"count"`
}

// Gateway is a chassis that hosts ports of the link.
type Gateway struct {
	Name     string   `json:"name"`
	Zone     string   `json:"zone"`
	Own      bool     `json:"own,omitempty"` // of this zone
	Hostname string   `json:"hostname,omitempty"`
	Encaps   []string `json:"encaps"` // TYPE:IP
	// Tunnels are those between a gateway of this zone and one of another, told on
	// that of the other zone.
	Tunnels []Tunnel `json:"tunnels,omitempty"`
}

// Tunnel is what BFD says of a tunnel to a gateway of another zone.
type Tunnel struct {
	From  string `json:"from"`  // chassis of this zone
	State string `json:"state"` // up, down, init, admin_down; silent: no BFD was ever heard; unknown: nobody tells
}

// Port is a router's port on the transit switch.
type Port struct {
	Name    string `json:"name"`
	Zone    string `json:"zone"`
	Own     bool   `json:"own,omitempty"`
	Key     int    `json:"key"` // 0: none yet
	Gateway string `json:"gateway,omitempty"`
	Address string `json:"address"`
	Router  string `json:"router,omitempty"` // of this zone
	Status  string `json:"status,omitempty"` // why the centre does not have it
}

// Route is a prefix that a router of this zone tells of, or is told of.
type Route struct {
	Prefix  string `json:"prefix"`
	Nexthop string `json:"nexthop,omitempty"`
	Table   string `json:"table,omitempty"`
	Origin  string `json:"origin"`
	Zone    string `json:"zone"`
	Router  string `json:"router"` // of this zone
	Tag     string `json:"tag,omitempty"`
	Status  Reason `json:"status"`
	Detail  string `json:"detail,omitempty"` // which list, which zone
}

// Conflict is a prefix that several zones have, or that lies within another's.
type Conflict struct {
	Table       string `json:"table,omitempty"`
	Prefix      string `json:"prefix"`
	Zone        string `json:"zone"`                  // whose route is used
	ZoneSwitch  string `json:"zone_switch,omitempty"` // by which it comes, where that is another link
	OtherPrefix string `json:"other_prefix"`
	OtherZone   string `json:"other_zone"`
	Router      string `json:"router"`
	Kind        string `json:"kind"`           // same: one is used; ecmp: both are; within: both, by the longest prefix
	More        int    `json:"more,omitempty"` // like it that are left out
}

// Refusal is something that the centre does not take.
type Refusal struct {
	Kind   string    `json:"kind"`
	Name   string    `json:"name"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	More   int       `json:"more,omitempty"` // like it that are left out
}
