// Package unixsocket opens unix sockets to listen on, for all that listens: the
// databases, the services of northd and of the interconnection, control sockets,
// metrics.
//
// # Contract
//
// A process that was killed leaves its socket file behind, and nobody else can
// bind that name again. [Listen] replaces such a file. It never takes the name of
// a socket on which somebody listens, nor that of a file of another kind: that
// would make a daemon unreachable that runs and does not know.
//
// What tells the two apart is a connection: only the kernel's "connection refused"
// says that nobody listens. Who may not connect cannot know, and gets the error.
package unixsocket
