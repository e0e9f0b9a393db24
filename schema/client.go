package schema

import (
	"reflect"

	"github.com/ovn-org/libovsdb/model"
)

// ClientModel returns the database as libovsdb wants it: each table with its
// row type. A client connects only if the server has all tables and columns.
func (d *Database) ClientModel() (model.ClientDBModel, error) {
	models := make(map[string]model.Model, len(d.Tables))
	for _, t := range d.Tables {
		models[t.Name] = reflect.New(reflect.TypeOf(t.Model).Elem()).Interface()
	}
	return model.NewClientDBModel(d.Name, models)
}
