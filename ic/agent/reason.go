package agent

import "fmt"

// Reason is why a route is not used, or not told to others. The zero value says
// that it is.
type Reason uint8

// Reasons. Where several hold, the first one counts.
const (
	Used         Reason = iota
	Off                 // ic-route-adv or ic-route-learn is not true
	Malformed           // prefix or next hop cannot be read
	DefaultRoute        // a default route, without ic-route-adv-default or ic-route-learn-default
	LinkLocal           // a link-local prefix
	LoadBalancer        // of a load balancer, without ic-route-learn-lb
	Denied              // by ic-route-denylist, ic-route-deny-adv or ic-route-deny-learn
	Filtered            // not in ic-route-filter-adv or ic-route-filter-learn
	Strict              // strict mode: the router has no filter
	Tagged              // its tag is ic-route-filter-tag
	WrongTable          // of another route table than the router's port
	Loop                // the next hop is the router itself
	Unreachable         // the next hop is in no network of the router's port
	OwnRoute            // the router has a static route for the prefix
	OwnNetwork          // a port of the router is in the prefix
	Contested           // another zone had the prefix first
	NoNextHop           // the router's port has no address of that family
	Refused             // by the centre
	NoPort              // no router of the zone is on the transit switch
	reasons
)

var reasonNames = [reasons]string{
	"used", "off", "malformed", "default-route", "link-local", "load-balancer", "denied", "filtered", "strict", "tagged", "wrong-table",
	"loop", "unreachable", "own-route", "own-network", "conflict", "no-next-hop", "refused", "no-port",
}

// String is the name by which metrics, logs and JSON have it.
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// MarshalText is String.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Reason) UnmarshalText(text []byte) error {
	for i, name := range reasonNames {
		if name == string(text) {
			*r = Reason(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no reason of a route", text)
}

// text is the reason for people: what it is if it is used, else "not WHAT" and why. detail is
// the option or zone that it is about.
func (r Reason) text(what, detail string) string {
	if r == Used {
		return what
	}
	return "not " + what + ": " + r.why(detail)
}

// why is the reason by itself.
func (r Reason) why(detail string) string {
	switch r {
	case Off:
		return detail + " is not true"
	case Malformed:
		return "prefix or next hop cannot be read"
	case DefaultRoute:
		return "a default route, and " + detail + " is not true"
	case LinkLocal:
		return "link-local"
	case LoadBalancer:
		return "of a load balancer, and " + detail + " is not true"
	case Denied:
		return "denied by " + detail
	case Filtered:
		return "not in " + detail
	case Strict:
		return "strict mode, and there is no " + detail
	case Tagged:
		return "its tag is ic-route-filter-tag " + detail
	case WrongTable:
		return "the port's route table is " + fmt.Sprintf("%q", detail)
	case Loop:
		return "the next hop is " + detail + " itself"
	case Unreachable:
		return "the next hop is in no network of the port"
	case OwnRoute:
		return "the router has a static route for it"
	case OwnNetwork:
		return "it is a network of the router"
	case Contested:
		return "CONFLICT, zone " + detail + " was first"
	case NoNextHop:
		return "the port has no address of that family"
	case Refused:
		return "refused: " + detail
	case NoPort:
		return "no router here is on the transit switch"
	}
	return r.String()
}
