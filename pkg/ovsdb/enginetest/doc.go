// Package enginetest tests that an [ovsdb.Engine] keeps what the interface
// promises. A new engine is right when Run passes; what a crash of the machine
// leaves behind is for the engine's own tests.
//
//	func TestEngine(t *testing.T) {
//		enginetest.Run(t, func(t *testing.T) enginetest.Opener {
//			path := filepath.Join(t.TempDir(), "db")
//			return func() (ovsdb.Engine, error) { return ovsdb.OpenBolt(path, ovsdb.BoltOptions{}) }
//		})
//	}
//
// Each check is also a function that returns an error, so that the package's own
// tests can run them on engines that are broken on purpose: every check must
// refuse the engine that breaks what it checks.
package enginetest
