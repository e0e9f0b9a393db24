// Package eventually lets tests wait for what cannot tell them: another process, the
// far end of a connection, a goroutine of a library.
//
// # Contract
//
// [That] asks again and again, and fails the test after [Deadline], which no working
// machine comes near; how long something takes is not what it tests. What can be waited
// for by a channel, or under the fake time of testing/synctest, is waited for so.
package eventually
