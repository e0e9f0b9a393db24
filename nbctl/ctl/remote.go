package ctl

import (
	"strconv"
	"strings"

	"govn/nbctl/idl"
)

// RemoteCommands are the verbs about the connections and the certificates of
// the server, which both databases have. roles says that a connection may be
// read-only or have a role.
func RemoteCommands(singleton string, roles bool) []Command {
	needConnections := func(c *Context) error {
		c.DB.Need(singleton, "connections")
		c.DB.Need("Connection", "target", "read_only", "role", "inactivity_probe")
		return nil
	}
	needSSL := func(c *Context) error {
		c.DB.Need(singleton, "ssl")
		c.DB.Need("SSL", "private_key", "certificate", "ca_cert", "bootstrap_ca_cert", "ssl_protocols", "ssl_ciphers")
		return nil
	}
	r := remote{singleton, roles}
	return []Command{
		{Name: "get-connection", Needs: needConnections, Run: r.getConnection},
		{Name: "del-connection", Needs: needConnections, Run: r.delConnection},
		{Name: "set-connection", Min: 1, Max: Unlimited, Args: "TARGET...", Options: "--inactivity-probe=", Needs: needConnections, Run: r.setConnection},
		{Name: "get-ssl", Needs: needSSL, Run: r.getSSL},
		{Name: "del-ssl", Needs: needSSL, Run: r.delSSL},
		{Name: "set-ssl", Min: 3, Max: 5, Args: "PRIVATE-KEY CERTIFICATE CA-CERT [SSL-PROTOS [SSL-CIPHERS]]", Options: "--bootstrap", Needs: needSSL, Run: r.setSSL},
	}
}

type remote struct {
	singleton string
	roles     bool
}

func (r remote) getConnection(c *Context) error {
	for _, row := range c.DB.SortedBy("Connection", "target") {
		if r.roles {
			mode := "read-write"
			if row.Bool("read_only") {
				mode = "read-only"
			}
			c.Printf("%s role=\"%s\" ", mode, row.Str("role"))
		}
		c.Printf("%s\n", row.Str("target"))
	}
	return nil
}

// delConnection deletes the connections.
func (r remote) delConnection(c *Context) error {
	for _, row := range c.DB.Rows("Connection") {
		row.Delete()
	}
	c.DB.First(r.singleton).Set("connections", idl.Datum{})
	return nil
}

// targetTypes are what a connection may begin with.
var targetTypes = []string{"tcp", "ssl", "unix", "ptcp", "pssl", "punix"}

func (r remote) setConnection(c *Context) error {
	if err := r.delConnection(c); err != nil {
		return err
	}
	var probe idl.Datum
	if s, ok := c.Option("--inactivity-probe"); ok {
		probe = idl.Int(leadingNumber(s))
	}
	var rows []*idl.Row
	readOnly, role := false, ""
	for _, target := range c.Args[1:] {
		if r.roles {
			switch name, isRole := strings.CutPrefix(target, "role="); {
			case target == "read-only", target == "read-write":
				readOnly = target == "read-only"
				continue
			case isRole:
				role = name
				continue
			}
		}
		if !isTarget(target) {
			c.Warnf("target type \"%s\" is possibly erroneous", target)
		}
		row := c.Txn.Insert("Connection").Set("target", idl.String(target)).Set("inactivity_probe", probe)
		if r.roles {
			row.Set("read_only", idl.Bool(readOnly)).Set("role", idl.String(role))
		}
		rows = append(rows, row)
	}
	c.DB.First(r.singleton).Set("connections", idl.Refs(rows...))
	return nil
}

// leadingNumber is the number that a text begins with, 0 without one: so the
// stock programs read it.
func leadingNumber(s string) int64 {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	n := 0
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || n == 0 && (s[n] == '-' || s[n] == '+')) {
		n++
	}
	v, _ := strconv.ParseInt(s[:n], 10, 64) // out of range: the nearest
	return v
}

func isTarget(s string) bool {
	for _, kind := range targetTypes {
		if strings.HasPrefix(s, kind+":") {
			return true
		}
	}
	return false
}

func (r remote) getSSL(c *Context) error {
	if row := c.DB.First("SSL"); row != nil {
		c.Printf("Private key: %s\nCertificate: %s\nCA Certificate: %s\nBootstrap: %t\n",
			row.Str("private_key"), row.Str("certificate"), row.Str("ca_cert"), row.Bool("bootstrap_ca_cert"))
	}
	return nil
}

func (r remote) delSSL(c *Context) error {
	if row := c.DB.First("SSL"); row != nil {
		row.Delete()
	}
	c.DB.First(r.singleton).Set("ssl", idl.Datum{})
	return nil
}

func (r remote) setSSL(c *Context) error {
	if err := r.delSSL(c); err != nil {
		return err
	}
	row := c.Txn.Insert("SSL").
		Set("private_key", idl.String(c.Args[1])).
		Set("certificate", idl.String(c.Args[2])).
		Set("ca_cert", idl.String(c.Args[3])).
		Set("bootstrap_ca_cert", idl.Bool(c.Has("--bootstrap")))
	for i, column := range []string{"ssl_protocols", "ssl_ciphers"} {
		if s := c.Arg(4 + i); s != "" {
			row.Set(column, idl.String(s))
		}
	}
	c.DB.First(r.singleton).Set("ssl", idl.Refs(row))
	return nil
}
