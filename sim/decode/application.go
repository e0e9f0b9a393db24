package decode

import (
	"fmt"
	"net"
	"strings"

	"github.com/gopacket/gopacket/layers"
)

// dhcp decodes DHCP for IPv4 (RFC 2131).
func dhcp(w *walker, b []byte) (handler, []byte) {
	if !w.room("dhcp", b, 240) {
		return nil, nil
	}
	var d layers.DHCPv4
	if err := d.DecodeFromBytes(b, feedback{}); err != nil {
		return w.failed("dhcp", b, err)
	}
	text, fields := "no message type", []Field{}
	var more []string
	for _, o := range d.Options {
		switch o.Type {
		case layers.DHCPOptMessageType:
			if len(o.Data) == 1 {
				text = layers.DHCPMsgType(o.Data[0]).String()
				fields = append(fields, Field{"message", text})
			}
		case layers.DHCPOptEnd, layers.DHCPOptPad:
		default:
			more = append(more, fmt.Sprintf("%q", o.String()))
		}
	}
	text += fmt.Sprintf(" xid %s client %v", hexN(8, d.Xid), d.ClientHWAddr)
	fields = append(fields, Field{"xid", d.Xid}, Field{"client_mac", d.ClientHWAddr.String()})
	for _, a := range []struct {
		name, word string
		ip         net.IP
	}{{"client_ip", "has", d.ClientIP}, {"your_ip", "gets", d.YourClientIP}, {"server_ip", "server", d.NextServerIP}} {
		if !a.ip.IsUnspecified() {
			text += fmt.Sprintf(" %s %v", a.word, a.ip)
			fields = append(fields, Field{a.name, a.ip.String()})
		}
	}
	for _, m := range more {
		text += "\n" + m
	}
	w.add("dhcp", b, text, append(fields, Field{"options", more})...)
	return nil, nil
}

// dhcp6 decodes the head of a DHCPv6 message (RFC 8415).
func dhcp6(w *walker, b []byte) (handler, []byte) {
	if !w.room("dhcp6", b, 4) {
		return nil, nil
	}
	var d layers.DHCPv6
	if err := d.DecodeFromBytes(b, feedback{}); err != nil {
		return w.failed("dhcp6", b, err)
	}
	var options []uint16
	for _, o := range d.Options {
		options = append(options, uint16(o.Code))
	}
	w.add("dhcp6", b, fmt.Sprintf("%v transaction %x", d.MsgType, d.TransactionID),
		Field{"message", d.MsgType.String()}, Field{"transaction", fmt.Sprintf("%x", d.TransactionID)}, Field{"options", options})
	return nil, nil
}

// dns decodes a DNS message (RFC 1035): the questions and the answers.
func dns(w *walker, b []byte) (handler, []byte) {
	if !w.room("dns", b, 12) {
		return nil, nil
	}
	var d layers.DNS
	if err := d.DecodeFromBytes(b, feedback{}); err != nil {
		return w.failed("dns", b, err)
	}
	var questions, answers []string
	for _, q := range d.Questions {
		questions = append(questions, fmt.Sprintf("%v %q", q.Type, q.Name))
	}
	for i := range d.Answers {
		a := &d.Answers[i]
		value := fmt.Sprintf("%d bytes", len(a.Data))
		switch a.Type {
		case layers.DNSTypeA, layers.DNSTypeAAAA:
			value = a.IP.String()
		case layers.DNSTypeCNAME:
			value = fmt.Sprintf("%q", a.CNAME)
		case layers.DNSTypePTR:
			value = fmt.Sprintf("%q", a.PTR)
		}
		answers = append(answers, fmt.Sprintf("%v %s", a.Type, value))
	}
	text := fmt.Sprintf("query %d: %s", d.ID, strings.Join(questions, ", "))
	if d.QR {
		text = fmt.Sprintf("response %d: %s -> %s", d.ID, strings.Join(questions, ", "), strings.Join(answers, ", "))
		if d.ResponseCode != 0 {
			text = fmt.Sprintf("response %d: %s -> %v", d.ID, strings.Join(questions, ", "), d.ResponseCode)
		}
	}
	w.add("dns", b, text, Field{"id", d.ID}, Field{"response", d.QR}, Field{"rcode", uint8(d.ResponseCode)},
		Field{"questions", questions}, Field{"answers", answers})
	return nil, nil
}

// bfd decodes a BFD control packet (RFC 5880), which Open vSwitch sends over
// its tunnels.
func bfd(w *walker, b []byte) (handler, []byte) {
	if !w.room("bfd", b, 24) {
		return nil, nil
	}
	var d layers.BFD
	if err := d.DecodeFromBytes(b, feedback{}); err != nil {
		return w.failed("bfd", b, err)
	}
	w.add("bfd", b, fmt.Sprintf("state %v diagnostic %q mine %s yours %s", d.State, d.Diagnostic.String(),
		hexN(8, uint32(d.MyDiscriminator)), hexN(8, uint32(d.YourDiscriminator))),
		Field{"state", d.State.String()}, Field{"diagnostic", d.Diagnostic.String()},
		Field{"my_discriminator", uint32(d.MyDiscriminator)}, Field{"your_discriminator", uint32(d.YourDiscriminator)},
		Field{"multiplier", uint8(d.DetectMultiplier)})
	return nil, nil
}
