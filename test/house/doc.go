// Package house holds the rules of the source tree, as tests.
//
//   - Each folder imports only what its row of the table in rules.go allows:
//     northd and controller never see each other, pkg knows nothing of the rest.
//   - Each package has a doc.go with a package comment.
//   - No package is named after nothing in particular, no file is longer than
//     600 lines, no test is skipped, nothing is put off, and no program sleeps
//     where it could wait for what it needs.
//   - What protoc generates is current.
//
// A new top-level folder needs a row in the table. The tests read the files, not
// the build, so files behind build tags count too.
package house
