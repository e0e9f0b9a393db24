package logical_test

import (
	"errors"
	"fmt"
	"net/netip"

	"govn/pkg/logical"
)

func ExampleParseMatch() {
	e, err := logical.ParseMatch("ip4.src==10.0.0.0/8 && !(tcp.dst == 80)", logical.Default())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e)
	conjs, err := e.Normalize(nil)
	fmt.Println(len(conjs), err)
	fmt.Println(conjs[0])
	// Output:
	// ip4.src == 10.0.0.0/8 && !(tcp.dst == 80)
	// 16 <nil>
	// eth.type == 0x800 && ip.proto == 0x6 && ip4.src == 0xa000000/0xff000000 && tcp.dst == 0x51
}

func ExampleError_Caret() {
	_, err := logical.ParseMatch("ip4 && tcp.dport == 80", logical.Default())
	var e *logical.Error
	if errors.As(err, &e) {
		fmt.Println(e.Caret())
	}
	// Output:
	// ip4 && tcp.dport == 80
	//        ^^^^^^^^^ no symbol "tcp.dport"
}

func ExampleMustMatch() {
	match := logical.MustMatch("inport == {port} && arp.spa == {ip}", logical.Default())
	m, err := match.Bind(logical.Port("port", "vm1"), logical.IP("ip", netip.MustParseAddr("10.0.0.1")))
	fmt.Println(m, err)
	conjs, err := m.Normalize()
	fmt.Println(conjs, err)
	// Output:
	// inport == "vm1" && arp.spa == 10.0.0.1 <nil>
	// [inport == "vm1" && eth.type == 0x806 && arp.spa == 0xa000001] <nil>
}
