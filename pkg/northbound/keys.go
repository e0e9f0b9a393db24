package northbound

import (
	"math"
	"strings"
)

// Key is a documented key of a column that is a map.
type Key struct {
	Table, Column, Name string
	Type                Type
	// Own says that the key is govn's: no other program documents it.
	Own bool
}

// Keys are the keys of all columns that have documented ones.
func Keys() []Key { return keys }

// Find returns a key.
func Find(table, column, name string) (Key, bool) {
	k, ok := byName[[3]string{table, column, name}]
	return k, ok
}

// Open says that a column may have keys of any name.
func Open(table, column string) bool { return !closed[[2]string{table, column}] }

var (
	byName = map[[3]string]Key{}
	closed = map[[2]string]bool{}
)

func init() {
	for _, k := range keys {
		byName[[3]string{k.Table, k.Column, k.Name}] = k
		// external_ids are for anybody's keys; some of them are documented.
		closed[[2]string{k.Table, k.Column}] = !strings.HasSuffix(k.Column, "external_ids") && k.Column != "status"
	}
}

// Types of some keys.
var (
	millis      = integer(0, math.MaxUint32)
	seconds     = integer(0, math.MaxUint32)
	positive    = integer(1, math.MaxUint32)
	rate        = integer(0, math.MaxInt64)
	tunnelKey   = integer(1, 1<<24-1)
	portKey     = integer(1, 1<<15-1)
	byteSize    = integer(0, 255)
	prefixRules = listOf(Type{"a prefix, with lengths as \"ge A le B\" or without", checkPrefixRule}, ",")
	domains     = listOf(Text, ", ")
	snatIPs     = Type{"an IPv4 address, an IPv6 address, or both", checkSNATIPs}
)

// routeFilters are options of routers and their ports, since OVN 25.09.
var routeFilters = names(prefixRules, "ic-route-filter-adv ic-route-filter-learn ic-route-deny-adv ic-route-deny-learn")

// group makes the keys of a column.
func group(table, column string, types map[string]Type) (out []Key) {
	for name, t := range types {
		out = append(out, Key{Table: table, Column: column, Name: name, Type: t})
	}
	return out
}

var keys = join(
	group("NB_Global", "options", map[string]Type{
		"name": Text, "bfd-min-rx": positive, "bfd-decay-min-rx": millis, "bfd-min-tx": positive, "bfd-mult": integer(1, 255),
		"mac_prefix": {"the first three bytes of an Ethernet address", checkMACPrefix}, "mac_binding_removal_limit": Uint32,
		"controller_event": Bool, "northd_probe_interval": millis, "northd_trim_timeout": millis, "use_logical_dp_groups": Bool,
		"use_parallel_build": Bool, "ignore_lsp_down": Bool, "use_ct_inv_match": Bool, "default_acl_drop": Bool,
		"debug_drop_domain_id": byteSize, "debug_drop_collector_set": Uint32, "ic-route-adv": Bool, "ic-route-learn": Bool,
		"ic-route-adv-default": Bool, "ic-route-learn-default": Bool, "ic-route-blacklist": prefixRules, "max_tunid": integer(0, 1<<24-1),
		// Written by northd and by chassis tools of OVN without being documented.
		"e2e_timestamp": Number, "northd_internal_version": Text, "northd-backoff-interval-ms": millis, "svc_monitor_mac": MAC,
	}),
	// Of versions after 23.03.
	group("Logical_Switch", "other_config", map[string]Type{"fdb_age_threshold": Uint32}),
	group("NB_Global", "options", map[string]Type{"fdb_removal_limit": Uint32, "always_tunnel": Bool, "ic-route-denylist": prefixRules, "ic-route-learn-lb": Bool}),
	group("Logical_Router", "options", routeFilters),
	group("Logical_Router_Port", "options", routeFilters),
	group("Logical_Router_Port", "options", names(Text, "ic-route-tag ic-route-filter-tag")),
	[]Key{
		{"NB_Global", "options", "govn-strict", Bool, true},
		{"NB_Global", "options", "govn-ic-route-ecmp", Bool, true},
		{"Logical_Router", "options", "govn-ic-route-ecmp", Bool, true},
		{"NB_Global", "external_ids", "govn-ic-zone", Text, true},
		{"NB_Global", "external_ids", "govn-ic-row", Text, true},
		{"NB_Global", "options", "hv-wait", oneOf("all", "connected"), true},
	},
	group("Copp", "meters", names(Text, "arp arp-resolve dhcpv4-opts dhcpv6-opts dns event-elb icmp4-error icmp6-error igmp nd-na nd-ns nd-ns-resolve nd-ra-opts tcp-reset bfd reject svc-monitor")),
	group("Logical_Switch", "external_ids", names(Text, "neutron:network_name")),
	group("Logical_Switch", "other_config", map[string]Type{
		"subnet": Prefix, "exclude_ips": {"IPv4 addresses and ranges ADDRESS..ADDRESS", checkRanges},
		"ipv6_prefix": {"an IPv6 address or prefix", checkIPv6Prefix}, "mac_only": Bool,
		"mcast_snoop": Bool, "mcast_querier": Bool, "mcast_flood_unregistered": Bool, "mcast_table_size": integer(1, 32766),
		"mcast_idle_timeout": integer(15, 3600), "mcast_query_interval": integer(1, 3600), "mcast_query_max_response": integer(1, 10),
		"mcast_eth_src": MAC, "mcast_ip4_src": IPv4, "mcast_ip6_src": IPv6, "interconn-ts": Text, "requested-tnl-key": tunnelKey,
		"vlan-passthru": Bool,
	}),
	group("Logical_Switch_Port", "external_ids", names(Text, "neutron:port_name")),
	group("Logical_Switch_Port", "options", map[string]Type{
		"router-port": Text, "nat-addresses": either(oneOf("router", ""), MACAndIPs), "exclude-lb-vips-from-garp": Bool,
		"arp_proxy": {"an optional Ethernet address and IP addresses or prefixes", checkProxy}, "network_name": Text,
		"ethtype": oneOf("802.11q", "802.11ad", "802.1q", "802.1ad"), "localnet_learn_fdb": Bool, "l2gateway-chassis": Text, "vtep-physical-switch": Text,
		"vtep-logical-switch": Text, "requested-chassis": Text, "activation-strategy": oneOf("rarp", ""), "iface-id-ver": Text,
		"qos_min_rate": rate, "qos_max_rate": rate, "qos_burst": rate, "hostname": Text, "vif-plug-type": Text,
		"vif-plug-mtu-request": integer(0, 65535), "virtual-ip": IP, "virtual-parents": listOf(Text, ","), "mcast_flood": Bool,
		"mcast_flood_reports": Bool, "requested-tnl-key": portKey,
		// Ports of type switch and remote, which ovn-nb(5) 23.03 leaves out here.
		"peer": Text,
	}),
	group("Load_Balancer", "options", map[string]Type{
		"reject": Bool, "hairpin_snat_ip": snatIPs, "skip_snat": Bool, "add_route": Bool, "neighbor_responder": oneOf("all", "reachable", "none"),
		"template": Bool, "address-family": oneOf("ipv4", "ipv6"), "affinity_timeout": integer(0, 65535), "ct_flush": Bool,
		"event": Bool, // of lb-add --event
	}),
	group("Load_Balancer_Health_Check", "options", map[string]Type{
		"interval": positive, "timeout": positive, "success_count": positive, "failure_count": positive,
	}),
	group("ACL", "options", map[string]Type{"apply-after-lb": Bool, "log-related": Bool}),
	group("Logical_Router", "external_ids", names(Text, "neutron:router_name")),
	group("Logical_Router", "options", map[string]Type{
		"chassis": Text, "dnat_force_snat_ip": snatIPs, "lb_force_snat_ip": either(oneOf("router_ip", ""), snatIPs), "mcast_relay": Bool,
		"dynamic_neigh_routers": Bool, "always_learn_from_arp_request": Bool, "requested-tnl-key": tunnelKey,
		"snat-ct-zone": integer(0, 65535), "mac_binding_age_threshold": {"seconds, or rules PREFIX:SECONDS;... and a default", checkAging},
	}),
	group("Logical_Router_Port", "options", map[string]Type{
		"reside-on-redirect-chassis": Bool, "redirect-type": oneOf("bridged", "overlay"), "mcast_flood": Bool, "requested-tnl-key": portKey,
		"prefix_delegation": Bool, "prefix": Bool, "route_table": Text, "gateway_mtu": integer(68, 65535), "gateway_mtu_bypass": Match,
	}),
	group("Logical_Router_Port", "ipv6_ra_configs", map[string]Type{
		"address_mode": oneOf("slaac", "dhcpv6_stateful", "dhcpv6_stateless"), "router_preference": oneOf("HIGH", "MEDIUM", "LOW"),
		"route_info": {"routes PREFERENCE-PREFIX with commas between them", checkRouteInfo}, "mtu": integer(0, math.MaxUint32), "send_periodic": Bool,
		"max_interval": positive, "min_interval": positive, "rdnss": IPv6, "dnssl": domains,
	}),
	group("Logical_Router_Static_Route", "external_ids", names(Text, "ic-learned-route")),
	group("Logical_Router_Static_Route", "options", map[string]Type{"ecmp_symmetric_reply": Bool, "origin": oneOf("connected", "static")}),
	group("Logical_Router_Policy", "options", map[string]Type{"pkt_mark": Uint32}),
	group("NAT", "options", map[string]Type{"stateless": Bool, "add_route": Bool}),
	group("DHCP_Options", "options", map[string]Type{
		"server_id": either(IP, MAC), "server_mac": MAC, "lease_time": seconds, "router": braced(IPv4), "netmask": IPv4, "dns_server": braced(IP),
		"log_server": braced(IPv4), "lpr_server": braced(IPv4), "swap_server": IPv4, "policy_filter": braced(IPv4), "router_solicitation": IPv4,
		"nis_server": braced(IPv4), "ntp_server": braced(IPv4), "netbios_name_server": braced(IPv4), "classless_static_route": braced(Prefix),
		"ms_classless_static_route": braced(Prefix), "next_server": IPv4, "ip_forward_enable": Bit, "router_discovery": Bit, "ethernet_encap": Bit,
		"default_ttl": byteSize, "tcp_ttl": byteSize, "mtu": integer(68, 65535), "T1": integer(68, math.MaxUint32), "T2": integer(68, math.MaxUint32),
		"arp_cache_timeout": byteSize, "tcp_keepalive_interval": byteSize, "netbios_node_type": byteSize, "wpad": Text, "bootfile_name": Text,
		"path_prefix": Text, "tftp_server_address": braced(IPv4), "hostname": Text, "domain_name": Text, "bootfile_name_alt": Text,
		"broadcast_address": IPv4, "tftp_server": Text, "domain_search_list": domains, "domain_search": Text, "dhcpv6_stateless": Bool,
	}),
	group("Connection", "status", names(Text, "last_error state sec_since_connect sec_since_disconnect locks_held locks_waiting locks_lost n_connections bound_port")),
)

func names(t Type, words string) map[string]Type {
	out := map[string]Type{}
	for w := range strings.FieldsSeq(words) {
		out[w] = t
	}
	return out
}

func join(lists ...[]Key) (out []Key) {
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}
