package translate

import (
	"fmt"
	"testing"

	"govn/northd/pipeline"
	"govn/northd/topology"
)

// BenchmarkCompilePort compiles what a port contributes, with and without port
// security: a cold start of the reference network does it 25,000 times.
func BenchmarkCompilePort(b *testing.B) {
	addresses, err := topology.ParseAddresses("50:54:00:00:00:01 10.0.0.11")
	if err != nil {
		b.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		p := &topology.Port{Name: "vm1", Datapath: 1, Key: 1, Enabled: true, Addresses: []topology.Addresses{addresses}}
		if secure {
			p.PortSecurity = []topology.PortSecurity{{Addresses: addresses}}
		}
		keys := func(name string) (uint32, error) {
			if key, ok := p.PortKey(name); ok {
				return key, nil
			}
			return 0, fmt.Errorf("no port %q", name)
		}
		b.Run(fmt.Sprintf("security=%v", secure), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				flows, err := pipeline.OfPort(p)
				if err != nil {
					b.Fatal(err)
				}
				if _, err = Compile(flows, keys, nil); err != nil {
					b.Fatal(err)
				}
				resident, err := pipeline.OfResident(p)
				if err != nil {
					b.Fatal(err)
				}
				if _, err = Compile(resident, keys, PortSecurity(p)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
