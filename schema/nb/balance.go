package nb

// Load balancers.

// LoadBalancer is a row of Load_Balancer: virtual addresses and the backends behind them.
type LoadBalancer struct {
	UUID string `ovsdb:"_uuid" db:"table=Load_Balancer,root"`

	Name            string            `ovsdb:"name"`
	VIPs            map[string]string `ovsdb:"vips"`
	Protocol        *string           `ovsdb:"protocol" db:"enum=tcp|udp|sctp"`
	HealthCheck     []string          `ovsdb:"health_check" db:"ref=Load_Balancer_Health_Check"`
	IPPortMappings  map[string]string `ovsdb:"ip_port_mappings"`
	SelectionFields []string          `ovsdb:"selection_fields" db:"enum=eth_src|eth_dst|ip_src|ip_dst|ipv6_src|ipv6_dst|tp_src|tp_dst"`
	Options         map[string]string `ovsdb:"options"`
	ExternalIDs     map[string]string `ovsdb:"external_ids"`
}

// LoadBalancerGroup is a row of Load_Balancer_Group: load balancers that are attached together.
type LoadBalancerGroup struct {
	UUID string `ovsdb:"_uuid" db:"table=Load_Balancer_Group,root,index=name"`

	Name         string   `ovsdb:"name"`
	LoadBalancer []string `ovsdb:"load_balancer" db:"ref=Load_Balancer,weak"`
}

// LoadBalancerHealthCheck is a row of Load_Balancer_Health_Check: how the backends of one virtual address are probed.
type LoadBalancerHealthCheck struct {
	UUID string `ovsdb:"_uuid" db:"table=Load_Balancer_Health_Check"`

	VIP         string            `ovsdb:"vip"`
	Options     map[string]string `ovsdb:"options"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}
