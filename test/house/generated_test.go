package house

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The generated code of proto is what protoc makes of the .proto files now.
func TestProtoIsCurrent(t *testing.T) {
	tools, err := filepath.Abs(filepath.Join(root, "bin", "tools"))
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	cmd := exec.Command("protoc",
		"--go_out="+out, "--go_opt=paths=source_relative",
		"--go-grpc_out="+out, "--go-grpc_opt=paths=source_relative",
		"proto/fabric.proto", "proto/ic/ic.proto")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "PATH="+tools+string(os.PathListSeparator)+os.Getenv("PATH"))
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("protoc: %v (make deps installs it)\n%s", err, b)
	}
	for _, name := range []string{"fabric.pb.go", "fabric_grpc.pb.go", "ic/ic.pb.go", "ic/ic_grpc.pb.go"} {
		fresh, err := os.ReadFile(filepath.Join(out, "proto", name))
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile(filepath.Join(root, "proto", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(fresh, committed) {
			t.Errorf("proto/%s is not what protoc makes: make generate", name)
		}
	}
}
