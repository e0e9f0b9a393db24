package ovsdb

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"

	"govn/pkg/certs/certstest"
	"govn/pkg/eventually"
)

// roleTransactions are run by hv1 with a role that may change its own chassis and
// any MAC_Binding; their results must be those of ovsdb-server.
var roleTransactions = []string{
	`{"op":"insert","table":"Encap","uuid-name":"e","row":{"ip":"192.0.2.1","type":"geneve","chassis_name":"hv1"}},{"op":"insert","table":"Chassis","row":{"name":"hv1","encaps":["named-uuid","e"]}}`,
	`{"op":"insert","table":"Encap","uuid-name":"e","row":{"ip":"192.0.2.2","type":"geneve","chassis_name":"hv1"}},{"op":"insert","table":"Chassis","row":{"name":"hv2","encaps":["named-uuid","e"]}}`,
	`{"op":"insert","table":"Logical_Flow","row":{"pipeline":"ingress","match":"1","actions":"next;"}}`,
	`{"op":"update","table":"Chassis","where":[["name","==","hv1"]],"row":{"nb_cfg":7}}`,
	`{"op":"update","table":"Chassis","where":[["name","==","hv1"]],"row":{"hostname":"x"}}`,
	`{"op":"update","table":"Chassis","where":[["name","==","hv1"]],"row":{"nb_cfg":7,"hostname":"x"}}`,
	`{"op":"update","table":"Chassis","where":[],"row":{"nb_cfg":8}}`,
	`{"op":"update","table":"Chassis","where":[["name","==","nosuch"]],"row":{"hostname":"x"}}`,
	`{"op":"update","table":"Chassis","where":[["name","==","hv1"]],"row":{}}`,
	`{"op":"update","table":"Chassis","where":[["name","==","hv9"]],"row":{}}`,
	`{"op":"update","table":"Chassis","where":[],"row":{}}`,
	`{"op":"mutate","table":"Chassis","where":[["name","==","hv1"]],"mutations":[["nb_cfg","+=",1]]}`,
	`{"op":"mutate","table":"Chassis","where":[["name","==","hv1"]],"mutations":[["external_ids","insert",["map",[["a","b"]]]]]}`,
	`{"op":"mutate","table":"Chassis","where":[["name","==","hv1"]],"mutations":[["vtep_logical_switches","insert","x"]]}`,
	`{"op":"mutate","table":"Chassis","where":[],"mutations":[["nb_cfg","+=",1]]}`,
	`{"op":"mutate","table":"Chassis","where":[["name","==","hv1"]],"mutations":[["name","insert","x"]]}`,
	`{"op":"mutate","table":"SB_Global","where":[],"mutations":[]}`,
	`{"op":"update","table":"SB_Global","where":[],"row":{"nb_cfg":1}}`,
	`{"op":"update","table":"SB_Global","where":[["nb_cfg","==",77]],"row":{"nb_cfg":1}}`,
	`{"op":"delete","table":"SB_Global","where":[]}`,
	`{"op":"delete","table":"SB_Global","where":[["nb_cfg","==",77]]}`,
	`{"op":"delete","table":"Chassis","where":[]}`,
	`{"op":"delete","table":"Chassis","where":[["name","==","hv9"]]}`,
	`{"op":"delete","table":"Chassis","where":[["name","==","nosuch"]]}`,
	`{"op":"delete","table":"Datapath_Binding","where":[]}`,
	`{"op":"insert","table":"Datapath_Binding","uuid-name":"d","row":{"tunnel_key":9}}`,
	`{"op":"insert","table":"MAC_Binding","row":{"datapath":["uuid","11111111-1111-4111-8111-111111111111"],"ip":"192.0.2.7","logical_port":"p"}}`,
	`{"op":"insert","table":"Chassis_Template_Var","row":{"chassis":"hv1"}}`,
	`{"op":"insert","table":"Chassis_Template_Var","row":{"chassis":"hv2"}}`,
	`{"op":"update","table":"Chassis_Template_Var","where":[],"row":{"variables":["map",[["a","b"]]]}}`,
	`{"op":"insert","table":"Address_Set","row":{"name":"hv1"}}`,
	`{"op":"update","table":"RBAC_Role","where":[],"row":{"name":"mine"}}`,
	`{"op":"select","table":"SB_Global","where":[],"columns":["nb_cfg"]}`,
	`{"op":"wait","table":"SB_Global","where":[],"columns":["nb_cfg"],"until":"==","rows":[{"nb_cfg":0}],"timeout":0}`,
	`{"op":"comment","comment":"x"},{"op":"commit","durable":true}`,
	`{"op":"nosuch","table":"SB_Global"}`,
	`{"op":"delete","table":"Chassis","where":[["name","==","hv1"]]}`,
}

// withRoles fills the role tables as an administrator would, and makes a chassis
// and a datapath of others.
func (s *served) withRoles() {
	s.t.Helper()
	permission := func(id, table, insertDelete, authorization, update string) []string {
		return []string{"--id=" + id, "create", "RBAC_Permission", "table=" + table, "insert_delete=" + insertDelete, "authorization=" + authorization, "update=" + update, "--"}
	}
	var args []string
	args = append(args, permission("@a", "Chassis", "true", "name", "nb_cfg,external_ids")...)
	args = append(args, permission("@b", "Encap", "true", "chassis_name", "ip")...)
	args = append(args, permission("@c", "MAC_Binding", "true", `""`, "mac")...)
	args = append(args, permission("@d", "Datapath_Binding", "false", `""`, "tunnel_key")...)
	args = append(args, permission("@e", "Chassis_Template_Var", "true", `"nosuch","variables:owner",chassis`, `"variables:a"`)...)
	args = append(args, permission("@f", "Address_Set", "true", `[]`, "addresses")...)
	s.sbctl(append(args, "create", "RBAC_Role", "name=hypervisor", "permissions=Chassis=@a,Encap=@b,MAC_Binding=@c,Datapath_Binding=@d,Chassis_Template_Var=@e,Address_Set=@f")...)
	s.sbctl("chassis-add", "hv9", "geneve", "192.0.2.9")
}

// TestRoles runs the same transactions on both servers: by a client with a role,
// by one that has a role but no certificate, and by one that may only read.
func TestRoles(t *testing.T) {
	t.Parallel()
	ca := certstest.NewAuthority(t, "ca")
	const (
		secure, insecure, reader = "pssl:0:127.0.0.1", "ptcp:0:127.0.0.1", "ptcp:0:127.0.0.2"
	)
	var results [2][]string
	southbound := [2]*served{ourSouthbound(t), stockSouthbound(t)}
	for i, s := range southbound {
		server := ca.Issue("server")
		s.withRoles()
		s.sbctl("set-ssl", server.PrivateKey, server.Certificate, server.CACert)
		s.sbctl("--inactivity-probe=0", "set-connection", "role=hypervisor", secure, insecure, "role=", "read-only", reader)
		run := func(who string, c *client, list []string) {
			for _, ops := range list {
				m := c.call("transact", `["OVN_Southbound",`+ops+`]`)
				results[i] = append(results[i], who+" "+ops+"\n  "+withoutSyntax(string(m.Result)))
			}
			for _, method := range []string{"lock", "steal", "unlock"} {
				m := c.call(method, `["`+who+`"]`)
				results[i] = append(results[i], fmt.Sprintf("%s %s %s", who, method, withoutSyntax(strings.TrimPrefix(string(m.Error), "null")+strings.TrimSuffix(string(m.Result), "null"))))
			}
		}
		c, err := dialTLS(t, s.port(secure), ca.Issue("hv1"))
		if err != nil {
			t.Fatal(err)
		}
		run("hv1", c, roleTransactions)
		run("nobody", dialTCP(t, s.port(insecure)), roleTransactions)
		conn, err := net.Dial("tcp", "127.0.0.2:"+s.port(reader))
		if err != nil {
			t.Fatal(err)
		}
		run("reader", newClient(t, conn), append(roleTransactions, `{"op":"comment","comment":"x"},{"op":"abort"}`, `{"op":"assert","lock":"x"}`,
			`{"op":"comment","comment":"x"},{"op":"commit","durable":false},{"op":"comment","comment":"x"}`))
		results[i] = append(results[i], s.sbctl("--columns=name,nb_cfg,external_ids", "list", "Chassis"), s.sbctl("get-connection"))
	}
	for i, want := range results[1] {
		if got := results[0][i]; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if !strings.Contains(strings.Join(results[0], ""), `RBAC rules for client \"hv1\" role \"hypervisor\" prohibit modification of table \"Chassis\".`) {
		t.Error("the role prohibits nothing")
	}

	// Ours obeys a change of the row at once, ovsdb-server when it opens the
	// listener again.
	s := southbound[0]
	c, err := dialTLS(t, s.port(secure), ca.Issue("hv1"))
	if err != nil {
		t.Fatal(err)
	}
	del := `["OVN_Southbound",{"op":"delete","table":"Chassis","where":[["name","==","nosuch"]]}]`
	for _, step := range []struct{ set, want string }{
		{"role=nosuch", `prohibit`}, {`role=""`, `"count":0`}, {"read_only=true", "not allowed"}, {"read_only=false", `"count":0`},
	} {
		s.sbctl("set", "Connection", secure, step.set)
		eventually.That(t, step.set, func() bool { return strings.Contains(c.result("transact", del), step.want) })
	}
}

// TestRightsToConvert: which of several reasons a server gives not to convert a
// database, by clients that may not. A client that may only read does convert
// it in ovsdb-server.
func TestRightsToConvert(t *testing.T) {
	t.Parallel()
	var results [2][]string
	var ours *client // that may only read
	for i, s := range [2]*served{ourSouthbound(t), stockSouthbound(t)} {
		s.withRoles()
		role, reader, both := "ptcp:0:127.0.0.1", "ptcp:0:127.0.0.2", "ptcp:0:127.0.0.3"
		s.sbctl("--inactivity-probe=0", "set-connection", "role=hypervisor", role, "role=", "read-only", reader, "role=hypervisor", "read-only", both)
		for _, target := range []string{role, reader, both} {
			conn, err := net.Dial("tcp", strings.Split(target, ":")[2]+":"+s.port(target))
			if err != nil {
				t.Fatal(err)
			}
			c := newClient(t, conn)
			if i == 0 && target == reader {
				ours = c
			}
			for _, params := range []string{
				`["OVN_Southbound",{"name":"OVN_Southbound","version":"1.0.0","tables":{}}]`, `["OVN_Southbound",{"name":"Other","tables":{}}]`,
				`["OVN_Southbound",1]`, `["OVN_Southbound"]`, `["Nosuch",{}]`, `[]`,
			} {
				if target == reader && strings.HasPrefix(params, `["OVN_Southbound",`) {
					continue // below
				}
				m := c.call("convert", params)
				results[i] = append(results[i], fmt.Sprintf("%s convert %s\n  %s", target, params, withoutSyntax(strings.TrimPrefix(string(m.Error), "null")+strings.TrimSuffix(string(m.Result), "null"))))
			}
		}
	}
	for i, want := range results[1] {
		if got := results[0][i]; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if got := ours.call("convert", `["OVN_Southbound",{"name":"OVN_Southbound","version":"1.0.0","tables":{}}]`); !strings.Contains(string(got.Error), "not allowed") {
		t.Errorf("who may only read may convert: %s", got.Error)
	}
}

var syntaxMember = regexp.MustCompile(`,"syntax":"([^"\\]|\\.)*"|"syntax":"([^"\\]|\\.)*",`)

// withoutSyntax makes results comparable: UUIDs differ, and so may the JSON that
// is blamed and the prose about it.
func withoutSyntax(result string) string {
	s := syntaxMember.ReplaceAllString(uuidPattern.ReplaceAllString(result, "<uuid>"), "")
	if strings.Contains(s, `"error":"syntax error"`) {
		return "syntax error"
	}
	return s
}
