package vswitch

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"govn/pkg/abi"
	"govn/pkg/rpc"
)

// Config is what Open_vSwitch:external_ids tells a chassis
// (ovn-controller(8)).
type Config struct {
	SystemID       string            // system-id: the chassis' name
	Hostname       string            // hostname; default: the host's
	Remote         string            // ovn-remote: tcp:HOST:PORT or unix:PATH of the fabric
	EncapIPs       []netip.Addr      // ovn-encap-ip
	EncapCsum      bool              // ovn-encap-csum, default true
	Bridge         string            // ovn-bridge, default br-int
	DatapathType   string            // ovn-bridge-datapath-type; empty: as other bridges have it
	BridgeMappings map[string]string // ovn-bridge-mappings: network to bridge
	MACMappings    map[string]uint64 // ovn-chassis-mac-mappings: network to the address from which routers send
	Interconn      bool              // ovn-is-interconn: a gateway to other zones
	OtherConfig    map[string]string // what goes to Chassis.other_config
}

// Equal tells whether two configurations are the same.
func (c *Config) Equal(d *Config) bool {
	return c != nil && d != nil && fmt.Sprint(*c) == fmt.Sprint(*d)
}

// Complete tells whether a chassis can connect with it.
func (c *Config) Complete() bool {
	_, _, err := rpc.Parse(FirstRemote(c.Remote))
	return c.SystemID != "" && err == nil && len(c.EncapIPs) > 0
}

// DefaultBridge is the integration bridge where ovn-bridge does not name one.
const DefaultBridge = "br-int"

// otherConfigKeys are the external_ids that Chassis.other_config has, and what it
// has where they are missing (ovn-controller(8), ovn-sb(5)). Some are settings of
// ovn-controller's that mean nothing here; others read them.
var otherConfigKeys = []struct{ id, key, missing string }{
	{"ovn-bridge-mappings", "ovn-bridge-mappings", ""},
	{"ovn-chassis-mac-mappings", "ovn-chassis-mac-mappings", ""},
	{"ovn-cms-options", "ovn-cms-options", ""},
	{"ovn-monitor-all", "ovn-monitor-all", "false"},
	{"ovn-is-interconn", "is-interconn", "false"},
	{"ovn-enable-lflow-cache", "ovn-enable-lflow-cache", "true"},
	{"ovn-limit-lflow-cache", "ovn-limit-lflow-cache", ""},
	{"ovn-memlimit-lflow-cache-kb", "ovn-memlimit-lflow-cache-kb", ""},
	{"ovn-trim-limit-lflow-cache", "ovn-trim-limit-lflow-cache", ""},
	{"ovn-trim-wmark-perc-lflow-cache", "ovn-trim-wmark-perc-lflow-cache", ""},
	{"ovn-trim-timeout-ms", "ovn-trim-timeout-ms", ""},
}

// ParseConfig reads external_ids; ifaceTypes are the kinds of interfaces that Open
// vSwitch has. Problems are texts that name the key; a configuration with problems
// is incomplete and cannot be used to connect.
func ParseConfig(ids map[string]string, ifaceTypes []string) (cfg *Config, problems []string) {
	c := &Config{
		SystemID:     ids["system-id"],
		Hostname:     ids["hostname"],
		Remote:       ids["ovn-remote"],
		Bridge:       ids["ovn-bridge"],
		DatapathType: ids["ovn-bridge-datapath-type"],
		EncapCsum:    ids["ovn-encap-csum"] != "false",
		OtherConfig:  map[string]string{},
	}
	if c.Bridge == "" {
		c.Bridge = DefaultBridge
	}
	if c.Hostname == "" {
		c.Hostname, _ = os.Hostname()
	}
	for _, key := range []string{"system-id", "ovn-remote", "ovn-encap-type", "ovn-encap-ip"} {
		if ids[key] == "" {
			problems = append(problems, fmt.Sprintf("external_ids:%s is missing", key))
		}
	}
	if c.Remote != "" {
		if _, _, err := rpc.Parse(FirstRemote(c.Remote)); err != nil {
			problems = append(problems, "external_ids:ovn-remote: "+err.Error())
		}
	}
	if t := ids["ovn-encap-type"]; t != "" {
		geneve := false
		for one := range strings.SplitSeq(t, ",") {
			geneve = geneve || strings.TrimSpace(one) == "geneve"
		}
		if !geneve {
			problems = append(problems, fmt.Sprintf("external_ids:ovn-encap-type %q does not name geneve", t))
		}
	}
	if s := ids["ovn-encap-ip"]; s != "" {
		for one := range strings.SplitSeq(s, ",") {
			ip, err := netip.ParseAddr(strings.TrimSpace(one))
			if err != nil {
				problems = append(problems, fmt.Sprintf("external_ids:ovn-encap-ip: %q is no IP address", one))
				continue
			}
			c.EncapIPs = append(c.EncapIPs, ip)
		}
	}
	c.BridgeMappings, problems = parseMappings(ids["ovn-bridge-mappings"], problems)
	macs, err := abi.ParseMACMappings(ids["ovn-chassis-mac-mappings"])
	if err != nil {
		problems = append(problems, "external_ids:ovn-chassis-mac-mappings: "+err.Error())
	}
	c.MACMappings = macs
	for _, k := range otherConfigKeys {
		v, ok := ids[k.id]
		if !ok {
			v = k.missing
		}
		c.OtherConfig[k.key] = v
	}
	c.Interconn = c.OtherConfig["is-interconn"] == "true"
	c.OtherConfig["iface-types"] = strings.Join(slices.Sorted(slices.Values(ifaceTypes)), ",")
	c.OtherConfig["datapath-type"] = c.DatapathType
	return c, problems
}

// parseMappings reads NETWORK:BRIDGE,... of ovn-bridge-mappings.
func parseMappings(s string, problems []string) (map[string]string, []string) {
	m := map[string]string{}
	if s == "" {
		return m, problems
	}
	for pair := range strings.SplitSeq(s, ",") {
		network, bridge, ok := strings.Cut(strings.TrimSpace(pair), ":")
		if !ok || network == "" || bridge == "" {
			problems = append(problems, fmt.Sprintf("external_ids:ovn-bridge-mappings: %q is not NETWORK:BRIDGE", pair))
			continue
		}
		m[network] = bridge
	}
	return m, problems
}

// FirstRemote is the one that is used of ovn-remote, which may be a list.
func FirstRemote(remote string) string {
	remote, _, _ = strings.Cut(remote, ",")
	return strings.TrimSpace(remote)
}
