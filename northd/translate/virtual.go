package translate

import (
	"govn/pkg/abi"
	"govn/pkg/logical"
)

// bindVPort tells the controller that the ingress port has the address of a
// virtual port.
func bindVPort(c *compiler, a *logical.Call) error {
	key, err := c.keys.key(a.Args[0].Const.Text)
	if err != nil {
		return err
	}
	c.add(punt(abi.PuntBindVPort, key, nil))
	return nil
}
