package nbctl

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/northbound"
)

// natCommands are about address translation.
var natCommands = []ctl.Command{
	{Name: "lr-nat-add", Min: 4, Max: 7, Args: "ROUTER TYPE EXTERNAL_IP LOGICAL_IP [LOGICAL_PORT EXTERNAL_MAC] [EXTERNAL_PORT_RANGE]",
		Options: "--may-exist,--stateless,--portrange,--add-route,--gateway-port=", Needs: all(needNAT, needPorts()), Run: lrNATAdd},
	{Name: "lr-nat-del", Min: 1, Max: 4, Args: "ROUTER [TYPE [IP] [GATEWAY_PORT]]", Options: "--if-exists", Needs: needNAT, Run: lrNATDel},
	{Name: "lr-nat-list", Min: 1, Max: 1, Args: "ROUTER", Needs: needNAT, Run: lrNATList},
	{Name: "lr-nat-update-ext-ip", Min: 4, Max: 4, Args: "ROUTER TYPE IP ADDRESS_SET", Options: "--is-exempted",
		Needs: all(needNAT, need("Address_Set", "name")), Run: lrNATUpdateExternal},
}

func needNAT(c *ctl.Context) error {
	c.DB.Need("Logical_Router", "name", "nat", "ports")
	c.DB.Need("Logical_Router_Port", "name", "networks", "gateway_chassis", "ha_chassis_group")
	c.DB.Need("NAT", "type", "external_ip", "logical_ip", "logical_port", "external_mac", "external_port_range", "options", "gateway_port")
	return nil
}

func checkNATType(s string) error {
	if s != "dnat" && s != "snat" && s != "dnat_and_snat" {
		return fmt.Errorf("%s: type must be one of \"dnat\", \"snat\" and \"dnat_and_snat\".", s)
	}
	return nil
}

// validPorts tells whether s is PORT or FIRST-LAST.
func validPorts(s string) bool {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	a, err1 := strconv.ParseUint(first, 10, 16)
	b, err2 := strconv.ParseUint(last, 10, 16)
	return err1 == nil && err2 == nil && 0 < a && a <= b
}

// wantedNAT is what lr-nat-add is to make.
type wantedNAT struct {
	kind, external, logical, port, mac, ports string
	stateless                                 bool
	gateway                                   *idl.Row
}

// key is the address that no other rule of the type may have, and its column.
func (w wantedNAT) key() (column, address string) {
	if w.kind == "snat" {
		return "logical_ip", w.logical
	}
	return "external_ip", w.external
}

func parseNAT(c *ctl.Context) (w wantedNAT, err error) {
	w.kind, w.external = c.Args[2], c.Args[3]
	if err := checkNATType(w.kind); err != nil {
		return w, err
	}
	external, err := normalAddress(w.external)
	if err != nil {
		return w, ctl.Refuse(fmt.Errorf("%s: Not a valid IPv4 or IPv6 address.", w.external), w.external, northbound.IP)
	}
	family := choose(external.Is4(), "IPv4", "IPv6")
	if w.kind == "snat" {
		p, err := parsePrefix(c.Args[4])
		if err != nil || p.Addr().Is4() != external.Is4() {
			return w, ctl.Refuse(fmt.Errorf("%s: should be an %s address or network.", c.Args[4], family), c.Args[4], northbound.Prefix)
		}
		w.logical = normalPrefix(p)
	} else {
		a, err := normalAddress(c.Args[4])
		if err != nil || a.Is4() != external.Is4() {
			return w, ctl.Refuse(fmt.Errorf("%s: Not a valid %s address.", c.Args[4], family), c.Args[4], northbound.Family(external.Is4()))
		}
		w.logical = a.String()
	}
	switch len(c.Args) {
	case 6:
		if !c.Has("--portrange") {
			return w, errors.New("lr-nat-add with logical_port must also specify external_mac.")
		}
		w.ports = c.Args[5]
	case 8:
		w.ports = c.Args[7]
		fallthrough
	case 7:
		if w.kind != "dnat_and_snat" {
			return w, errors.New(`logical_port and external_mac are only valid when type is "dnat_and_snat".`)
		}
		w.port, w.mac = c.Args[5], c.Args[6]
		if _, err := lookupPort(c, w.port, true); err != nil {
			return w, err
		}
		if _, ok := ethernet(w.mac); !ok {
			return w, ctl.Refuse(fmt.Errorf("invalid mac address %s.", w.mac), w.mac, northbound.MAC)
		}
	}
	if w.ports != "" && !validPorts(w.ports) {
		return w, ctl.Refuse(fmt.Errorf("invalid port range %s.", w.ports), w.ports, northbound.Ports)
	}
	w.stateless = c.Has("--stateless")
	if w.stateless && w.kind != "dnat_and_snat" {
		return w, errors.New("stateless is not applicable to dnat or snat types")
	}
	if c.Has("--add-route") && w.kind == "snat" {
		return w, errors.New("routes cannot be added for snat types.")
	}
	return w, nil
}

// distributed tells whether a router port is a distributed gateway port.
func distributed(lrp *idl.Row) bool {
	return lrp.Get("gateway_chassis").Len() > 0 || lrp.Get("ha_chassis_group").Len() > 0
}

// natGateway returns the gateway port that --gateway-port names. Without it, a
// router with several needs an address from which one follows.
func natGateway(c *ctl.Context, lr *idl.Row, external string) (*idl.Row, error) {
	var gateways []*idl.Row
	for _, lrp := range lr.Refs("ports") {
		if distributed(lrp) {
			gateways = append(gateways, lrp)
		}
	}
	if name, ok := c.Option("--gateway-port"); ok {
		lrp, err := lookupRouterPort(c, name, true)
		switch {
		case err != nil:
			return nil, err
		case !lr.RefersTo("ports", lrp):
			return nil, fmt.Errorf("%s is not a router port of logical router: %s.", name, c.Args[1])
		case !slices.Contains(gateways, lrp):
			return nil, fmt.Errorf("%s is not a distributed gateway router port.", name)
		}
		return lrp, nil
	}
	if len(gateways) < 2 {
		return nil, nil
	}
	ip, err := netip.ParseAddr(external)
	if err != nil {
		return nil, err
	}
	for _, lrp := range gateways {
		for _, network := range lrp.Strs("networks") {
			if p, err := parsePrefix(network); err == nil && p.Masked().Contains(ip) {
				return nil, nil
			}
		}
	}
	return nil, fmt.Errorf("logical router: %s has multiple distributed gateway ports and gateway_port can not be determined from external IP of NAT rule.", c.Args[1])
}

func lrNATAdd(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], true)
	if err != nil {
		return err
	}
	w, err := parseNAT(c)
	if err != nil {
		return err
	}
	if w.gateway, err = natGateway(c, lr, w.external); err != nil {
		return err
	}
	same, err := w.conflict(c, lr)
	if err != nil {
		return err
	}
	if same != nil {
		port, mac := idl.Datum{}, idl.Datum{}
		if w.port != "" {
			port, mac = idl.String(w.port), idl.String(w.mac)
		}
		same.Set("logical_port", port).Set("external_mac", mac)
		return nil
	}
	options := map[string]string{"stateless": strconv.FormatBool(w.stateless)}
	if c.Has("--add-route") {
		options["add_route"] = "true"
	}
	nat := c.Txn.Insert("NAT").
		Set("type", idl.String(w.kind)).
		Set("external_ip", idl.String(w.external)).
		Set("logical_ip", idl.String(w.logical)).
		Set("external_port_range", idl.String(w.ports)).
		Set("options", idl.StringMap(options))
	if w.port != "" {
		nat.Set("logical_port", idl.String(w.port)).Set("external_mac", idl.String(w.mac))
	}
	if w.gateway != nil {
		nat.Set("gateway_port", idl.Refs(w.gateway))
	}
	lr.Add("nat", idl.Refs(nat))
	return nil
}

// conflict looks for rules that exclude the wanted one, and returns the one that
// is the same, if --may-exist allows that.
func (w wantedNAT) conflict(c *ctl.Context, lr *idl.Row) (same *idl.Row, err error) {
	column, address := w.key()
	for _, nat := range lr.Refs("nat") {
		sharedExternal := sameNetwork(nat.Str("external_ip"), w.external)
		if nat.Str("type") == w.kind && nat.Ref("gateway_port") == w.gateway {
			switch {
			case sharedExternal && sameNetwork(nat.Str("logical_ip"), w.logical):
				if c.Has("--may-exist") {
					return nat, nil
				}
				err = fmt.Errorf("%s, %s: a NAT with this external_ip and logical_ip already exists", w.external, w.logical)
			case sameNetwork(nat.Str(column), address):
				err = fmt.Errorf("a NAT with this type (%s), %s (%s) already exists", w.kind, column, address)
			}
		}
		stateless, _ := nat.Key("options", "stateless")
		if sharedExternal && (stateless == "true") != w.stateless {
			return nil, fmt.Errorf("%s, %s: External ip cannot be shared across stateless and stateful NATs", w.external, w.logical)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func lrNATDel(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], true)
	if err != nil {
		return err
	}
	if len(c.Args) == 2 {
		lr.Set("nat", idl.Datum{})
		return nil
	}
	kind, ip, port := c.Args[2], c.Arg(3), c.Arg(4)
	if err := checkNATType(kind); err != nil {
		return err
	}
	if _, err := parsePrefix(ip); err != nil {
		if port == "" {
			port = ip
		}
		ip = ""
	}
	var gateway *idl.Row
	if port != "" {
		if gateway, err = lookupRouterPort(c, port, true); err != nil {
			return err
		}
	}
	column := choose(kind == "snat", "logical_ip", "external_ip")
	var gone []*idl.Row
	for _, nat := range lr.Refs("nat") {
		if nat.Str("type") == kind && (ip == "" || sameNetwork(nat.Str(column), ip)) && (gateway == nil || nat.Ref("gateway_port") == gateway) {
			gone = append(gone, nat)
		}
	}
	if len(gone) == 0 && ip != "" && gateway != nil && !c.IfExists() {
		return fmt.Errorf("no matching NAT with the type (%s), %s (%s) and gateway_port (%s)", kind, column, ip, port)
	}
	lr.Remove("nat", idl.Refs(gone...))
	return nil
}

func lrNATList(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], true)
	if err != nil {
		return err
	}
	var lines []string
	for _, nat := range lr.Refs("nat") {
		gateway := ""
		if lrp := nat.Ref("gateway_port"); lrp != nil {
			gateway = lrp.Str("name")
		}
		key := fmt.Sprintf("%-17.13s%-22.18s%s", nat.Str("type"), gateway, nat.Str("external_ip"))
		value := fmt.Sprintf("%-17.13s", nat.Str("external_port_range"))
		if port, mac := nat.Str("logical_port"), nat.Str("external_mac"); port != "" && mac != "" {
			value += fmt.Sprintf("%-20.16s%-21.17s%s", nat.Str("logical_ip"), mac, port)
		} else {
			value += nat.Str("logical_ip")
		}
		lines = append(lines, fmt.Sprintf("%-58.54s%s\n", key, value))
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	c.Printf("%-17.13s%-22.18s%-19.15s%-17.13s%-20.16s%-21.17s%s\n",
		"TYPE", "GATEWAY_PORT", "EXTERNAL_IP", "EXTERNAL_PORT", "LOGICAL_IP", "EXTERNAL_MAC", "LOGICAL_PORT")
	c.Printf("%s", joined(lines, ""))
	return nil
}

func lrNATUpdateExternal(c *ctl.Context) error {
	lr, err := lookupRouter(c, c.Args[1], true)
	if err != nil {
		return err
	}
	kind, ip := c.Args[2], c.Args[3]
	if err := checkNATType(kind); err != nil {
		return err
	}
	set, err := c.Named("Address_Set", c.Args[4], "Address Set", "Address Sets", true)
	if err != nil {
		return err
	}
	if _, err := parsePrefix(ip); err != nil {
		return ctl.Refuse(fmt.Errorf("%s: Invalid IP address or CIDR", ip), ip, northbound.Prefix)
	}
	column := choose(kind == "snat", "logical_ip", "external_ip")
	for _, nat := range lr.Refs("nat") {
		if nat.Str("type") == kind && sameNetwork(nat.Str(column), ip) {
			nat.Set(choose(c.Has("--is-exempted"), "exempted_ext_ips", "allowed_ext_ips"), idl.Refs(set))
			return nil
		}
	}
	return fmt.Errorf("%s: Could not locate nat rule for: %s.", kind, ip)
}
