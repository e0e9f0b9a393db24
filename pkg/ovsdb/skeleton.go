package ovsdb

import (
	"context"
	"iter"
	"log/slog"
	"net"
)

type UUID [16]byte

func ParseUUID(s string) (UUID, error) { panic("unfinished") }
func NewUUID() UUID                    { panic("unfinished") }
func (u UUID) String() string          { panic("unfinished") }
func (u UUID) IsZero() bool            { return u == UUID{} }

type Atom = any
type Value = any

type Set struct{ root *struct{} }

func NewSet(a ...Atom) Set                          { panic("unfinished") }
func (s Set) Len() int                              { panic("unfinished") }
func (s Set) Has(a Atom) bool                       { panic("unfinished") }
func (s Set) All() iter.Seq[Atom]                   { panic("unfinished") }
func (s Set) Hash() [16]byte                        { panic("unfinished") }
func (s Set) Equal(t Set) bool                      { panic("unfinished") }
func (s Set) With(a Atom) Set                       { panic("unfinished") }
func (s Set) Without(a Atom) Set                    { panic("unfinished") }
func DiffSets(old, new Set) (removed, added []Atom) { panic("unfinished") }

type Map struct{ root *struct{} }
type MapChange struct{ Key, Old, New Atom }

func (m Map) Len() int                   { panic("unfinished") }
func (m Map) Get(k Atom) (Atom, bool)    { panic("unfinished") }
func (m Map) All() iter.Seq2[Atom, Atom] { panic("unfinished") }
func (m Map) With(k, v Atom) Map         { panic("unfinished") }
func (m Map) Without(k Atom) Map         { panic("unfinished") }
func (m Map) Hash() [16]byte             { panic("unfinished") }
func (m Map) Equal(n Map) bool           { panic("unfinished") }
func DiffMaps(old, new Map) []MapChange  { panic("unfinished") }
func MapOf(kv ...Atom) Map               { panic("unfinished") }

type AtomicType uint8
type BaseType struct{ Type AtomicType }
type ColumnType struct {
	Key, Value BaseType
	Min, Max   int
}
type DatabaseSchema struct {
	Name, Version, Cksum string
	Tables               map[string]*TableSchema
}
type TableSchema struct {
	DB      *DatabaseSchema
	Name    string
	Columns []*ColumnSchema
	Indexes [][]*ColumnSchema
	MaxRows int
	IsRoot  bool
}
type ColumnSchema struct {
	Table              *TableSchema
	Name               string
	Index              int
	Type               ColumnType
	Ephemeral, Mutable bool
}

func ParseSchema(b []byte) (*DatabaseSchema, error)      { panic("unfinished") }
func (d *DatabaseSchema) JSON() []byte                   { panic("unfinished") }
func (d *DatabaseSchema) Table(name string) *TableSchema { panic("unfinished") }
func (t *TableSchema) Column(name string) *ColumnSchema  { panic("unfinished") }

type Row struct{ uuid UUID }

func (r *Row) UUID() UUID                       { return r.uuid }
func (r *Row) Version() UUID                    { panic("unfinished") }
func (r *Row) Table() *TableSchema              { panic("unfinished") }
func (r *Row) Get(c *ColumnSchema) Value        { panic("unfinished") }
func (r *Row) Str(c *ColumnSchema) string       { panic("unfinished") }
func (r *Row) Int(c *ColumnSchema) int64        { panic("unfinished") }
func (r *Row) Bool(c *ColumnSchema) bool        { panic("unfinished") }
func (r *Row) Set(c *ColumnSchema) Set          { panic("unfinished") }
func (r *Row) Map(c *ColumnSchema) Map          { panic("unfinished") }
func (r *Row) Opt(c *ColumnSchema) (Atom, bool) { panic("unfinished") }
func (r *Row) Ref(c *ColumnSchema) (UUID, bool) { panic("unfinished") }

type Owner uint8

const (
	OwnerClient Owner = iota
	OwnerNorthd
	OwnerChassis
)

type VirtualTable interface {
	Watch(notify func([]Change)) (initial []*Row, stop func())
}

func NewVirtualRow(t *TableSchema, uuid UUID, values map[string]Value) *Row { panic("unfinished") }

type Database struct {
	Schema       *DatabaseSchema
	Private      bool
	Owner        func(*ColumnSchema) Owner
	InsertDelete func(*TableSchema) Owner
	Virtual      map[string]VirtualTable
}
type Options struct{ Logger *slog.Logger }
type Store struct{}
type Snapshot struct{}
type Subscription struct{}
type Commit struct {
	Revision uint64
	DB       *DatabaseSchema
	Changes  []Change
	Who      Owner
}
type Change struct {
	Table    *TableSchema
	UUID     UUID
	Old, New *Row
}
type Txn struct{}
type Engine interface{ Close() error }

func Open(ctx context.Context, e Engine, dbs []Database, o Options) (*Store, error) {
	panic("unfinished")
}
func (s *Store) Close() error        { panic("unfinished") }
func (s *Store) Snapshot() *Snapshot { panic("unfinished") }
func (s *Store) Update(ctx context.Context, db *DatabaseSchema, who Owner, fn func(*Txn) error) (uint64, error) {
	panic("unfinished")
}
func (s *Store) WaitDurable(ctx context.Context, rev uint64) error { panic("unfinished") }
func (s *Store) Subscribe() *Subscription                          { panic("unfinished") }
func (s *Store) SubscribeSnapshot() (*Snapshot, *Subscription)     { panic("unfinished") }
func (s *Store) ClusterID() UUID                                   { panic("unfinished") }
func (s *Subscription) Next(ctx context.Context) ([]Commit, error) { panic("unfinished") }
func (s *Subscription) Close()                                     {}

func (s *Snapshot) Revision() uint64                                   { panic("unfinished") }
func (s *Snapshot) Row(t *TableSchema, u UUID) *Row                    { panic("unfinished") }
func (s *Snapshot) Rows(t *TableSchema) iter.Seq[*Row]                 { panic("unfinished") }
func (s *Snapshot) Len(t *TableSchema) int                             { panic("unfinished") }
func (s *Snapshot) Lookup(t *TableSchema, index int, key ...Atom) *Row { panic("unfinished") }
func (s *Snapshot) Referrers(c *ColumnSchema, u UUID) iter.Seq[UUID]   { panic("unfinished") }

func (t *Txn) Row(ts *TableSchema, u UUID) *Row                             { panic("unfinished") }
func (t *Txn) Rows(ts *TableSchema) iter.Seq[*Row]                          { panic("unfinished") }
func (t *Txn) Lookup(ts *TableSchema, index int, key ...Atom) *Row          { panic("unfinished") }
func (t *Txn) Referrers(c *ColumnSchema, u UUID) iter.Seq[UUID]             { panic("unfinished") }
func (t *Txn) Insert(ts *TableSchema, u UUID, values map[string]Value) UUID { panic("unfinished") }
func (t *Txn) SetColumn(ts *TableSchema, u UUID, col string, v Value)       { panic("unfinished") }
func (t *Txn) AddToSet(ts *TableSchema, u UUID, col string, a ...Atom)      { panic("unfinished") }
func (t *Txn) DelFromSet(ts *TableSchema, u UUID, col string, a ...Atom)    { panic("unfinished") }
func (t *Txn) PutInMap(ts *TableSchema, u UUID, col string, k, v Atom)      { panic("unfinished") }
func (t *Txn) DelFromMap(ts *TableSchema, u UUID, col string, k Atom)       { panic("unfinished") }
func (t *Txn) Delete(ts *TableSchema, u UUID)                               { panic("unfinished") }
func (t *Txn) Err() error                                                   { panic("unfinished") }

func NewMemoryEngine() Engine { panic("unfinished") }

type BoltOptions struct{}

func OpenBolt(path string, o BoltOptions) (Engine, error) { panic("unfinished") }

type ServerOptions struct {
	Logger    *slog.Logger
	Databases []string
}
type Server struct{}

func NewServer(s *Store, o ServerOptions) *Server                 { panic("unfinished") }
func (s *Server) Serve(ctx context.Context, l net.Listener) error { panic("unfinished") }
func ListenRemote(remote string) (net.Listener, error)            { panic("unfinished") }
