package translate

import (
	"fmt"

	"govn/pkg/abi"
	"govn/pkg/logical"
	"govn/pkg/ndra"
	"govn/pkg/openflow"
)

// options compiles an action whose arguments have names.
func (c *compiler) options(a *logical.Options) error {
	switch a.Func {
	case logical.PutNDRAOpts:
		return c.routerAdvertisement(a)
	case logical.FwdGroup:
		return c.forward(a)
	case logical.Select:
		return c.choose(a)
	case logical.CommitECMPNH:
		return c.learnECMPNext(a)
	}
	return fmt.Errorf("the action %q cannot be compiled", a.Func)
}

// routerAdvertisement is put_nd_ra_opts: the controller gets the advertisement
// ready made and puts it in the place of the solicitation.
func (c *compiler) routerAdvertisement(a *logical.Options) error {
	dst, err := subfield(a.Result)
	if err != nil {
		return err
	}
	register := -1
	for i := range abi.LogicalRegs {
		if dst.Field == openflow.FieldReg(i) {
			register = i
		}
	}
	if register < 0 {
		return fmt.Errorf("the result of %q has to be a bit of reg0 to reg9", a.Func)
	}
	message, err := RouterAdvertisement(a)
	if err != nil {
		return err
	}
	to := punt(abi.PuntNDRAOpts, abi.ResultBit(register, dst.Offset), message)
	to.Pause = true
	c.add(to)
	return nil
}

// RouterAdvertisement is the ICMPv6 message with the options of put_nd_ra_opts.
func RouterAdvertisement(a *logical.Options) ([]byte, error) {
	mode := ""
	for _, o := range a.Options { // what the others depend on
		if o.Name == "addr_mode" {
			mode = text(o)
		}
	}
	m, err := ndra.New(mode)
	if err != nil {
		return nil, err
	}
	for _, o := range a.Options {
		if o.Name == "addr_mode" {
			continue
		}
		if err := m.Add(o.Name, text(o)); err != nil {
			return nil, err
		}
	}
	return m.Bytes(), nil
}

// text is the value of an option as it was written.
func text(o logical.Option) string {
	if len(o.Values) == 0 {
		return ""
	}
	if c := &o.Values[0]; !c.Numeric() {
		return c.Text
	}
	return o.Values[0].String()
}
