package nbctl

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
)

// meterCommands are about meters.
var meterCommands = []ctl.Command{
	{Name: "meter-add", Min: 4, Max: 5, Args: "NAME ACTION RATE UNIT [BURST]", Options: "--fair,--may-exist", Needs: need("Meter", "name"), Run: meterAdd},
	{Name: "meter-del", Max: 1, Args: "[NAME]", Needs: need("Meter", "name"), Run: meterDel},
	{Name: "meter-list", Needs: all(need("Meter", "name", "unit", "bands", "fair"), need("Meter_Band", "action", "rate", "burst_size")), Run: meterList},
}

func meterAdd(c *ctl.Context) error {
	name, unit := c.Args[1], c.Args[4]
	var meter *idl.Row
	for _, m := range c.DB.Rows("Meter") {
		if m.Str("name") != name {
			continue
		}
		if !c.Has("--may-exist") {
			return fmt.Errorf("meter with name \"%s\" already exists", name)
		}
		meter = m
	}
	if strings.HasPrefix(name, "__") {
		return errors.New(`meter names that begin with "__" are reserved`)
	}
	if c.Args[2] != "drop" {
		return errors.New(`action must be "drop"`)
	}
	rate, ok := parseUint(c.Args[3], 1)
	if !ok {
		return fmt.Errorf("rate must be in the range 1...%d", uint32(math.MaxUint32))
	}
	if unit != "kbps" && unit != "pktps" {
		return errors.New(`unit must be "kbps" or "pktps"`)
	}
	burst := int64(0)
	if len(c.Args) > 5 {
		if burst, ok = parseUint(c.Args[5], 0); !ok {
			return fmt.Errorf("burst must be in the range 0...%d", uint32(math.MaxUint32))
		}
	}
	band := c.Txn.Insert("Meter_Band").
		Set("action", idl.String("drop")).
		Set("rate", idl.Int(rate)).
		Set("burst_size", idl.Int(burst))
	if meter == nil {
		meter = c.Txn.Insert("Meter").Set("name", idl.String(name))
	}
	meter.Set("unit", idl.String(unit)).Set("bands", idl.Refs(band))
	if c.Has("--fair") {
		meter.Set("fair", idl.Bool(true))
	}
	return nil
}

func meterDel(c *ctl.Context) error { return deleteNamed(c, "Meter") }

func meterList(c *ctl.Context) error {
	for _, m := range c.DB.SortedBy("Meter", "name") {
		unit := m.Str("unit")
		c.Printf("%s:%s bands:\n", m.Str("name"), choose(m.Bool("fair"), " (fair)", ""))
		for _, b := range m.Refs("bands") {
			c.Printf("  %s: %d %s", b.Str("action"), b.Int("rate"), unit)
			if burst := b.Int("burst_size"); burst != 0 {
				c.Printf(", %d %s burst", burst, choose(unit == "kbps", "kb", "packet"))
			}
			c.Printf("\n")
		}
	}
	return nil
}
