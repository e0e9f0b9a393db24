// Command govn is the one binary of govn: a subcommand for each role.
//
//	govn northd        databases, compiler, and the service for the chassis
//	govn controller    programs Open vSwitch on one chassis
//	govn nbctl         the northbound database, as ovn-nbctl; sbctl the southbound one
//	govn ic server     what zones find each other by; ic agent joins a zone to it
//	govn ic-nbctl      the transit switches, as ovn-ic-nbctl; ic-sbctl what zones tell
//	govn lab           networks of hypervisors on this machine
//	govn status        the zone at a glance, asked of a running daemon
//	govn lint          objects that cannot be used as they are
//	govn flows         what an object became
//	govn explain       why a flow is there
//	govn decode        what is in a packet capture
//	govn schema        the databases' schemas, as JSON
//	govn version
//
// The package is wiring only: flags, environment and configuration file become
// the options of a package that does the work.
//
// # Configuration
//
// A flag --nb-listen can also be given as GOVN_NB_LISTEN in the environment or
// as nb-listen in the YAML file that --config names. The command line wins over
// the environment, the environment over the file. One file may serve several
// subcommands; a key that none of them knows is an error.
//
// # Exit status
//
// 0 when all went well, 1 after an error, which is printed to standard error as
// "govn SUBCOMMAND: what went wrong".
package main
