package ovsdb

// Client is a connection to a Server, as an Authorizer sees it.
type Client struct {
	// Name is the common name of the peer's certificate; empty without one.
	Name string
}
