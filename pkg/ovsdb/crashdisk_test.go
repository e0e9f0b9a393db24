package ovsdb

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// event is one system call of the writer, as it began or ended.
type event struct {
	kind   byte   // 'w' write, 't' truncate, 's' sync begins, 'S' ends, 'l' link, 'r' rename, 'u' unlink, 'd' directory synced, 'p' printed
	file   string // in the directory
	to     string // of 'l' and 'r'
	offset int64
	data   []byte
	sync   int // of 's', 'S' and 'd', which
}

// recordWriter runs writers, one after the other in one directory, and returns their
// calls on the store, in the order in which they were made. A write is there when it
// is made, a sync ends when it has returned.
func recordWriter(t *testing.T, modes ...string) (events []event) {
	t.Helper()
	dir := t.TempDir()
	for i, mode := range modes {
		for _, e := range recordOne(t, dir, mode) {
			e.sync = e.sync*len(modes) + i
			events = append(events, e)
		}
	}
	return events
}

func recordOne(t *testing.T, dir, mode string) []event {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("strace", "-f", "-y", "-xx", "-s", "4000000", "-o", trace,
		"-e", "trace=pwrite64,fdatasync,fsync,ftruncate,linkat,renameat,renameat2,unlinkat,write", exe)
	cmd.Env = append(os.Environ(), "OVSDB_TEST_CRASH="+mode, "OVSDB_TEST_DIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("strace: %v\n%.2000s", err, out)
	}
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	events, err := parseTrace(f, dir)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

var (
	traceCall    = regexp.MustCompile(`^(\d+) +(\w+)\((?:(\d+)<([^>]*)>)?(.*)$`)
	traceResumed = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	traceData    = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)", *\d+(?:, *(\d+))?`)
	traceName    = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"`)
	traceSize    = regexp.MustCompile(`^, (\d+)`)
)

func unhex(s string) []byte {
	b := make([]byte, 0, len(s)/4)
	for i := 0; i+4 <= len(s); i += 4 {
		n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
		if err != nil {
			return nil
		}
		b = append(b, byte(n))
	}
	return b
}

// parseTrace reads the output of strace about the store in dir.
func parseTrace(f *os.File, dir string) (events []event, err error) {
	lines := bufio.NewReaderSize(f, 1<<20)
	syncing := make(map[string]event) // by thread: what a sync is of
	syncs := 0
	for {
		line, err := lines.ReadString('\n')
		if line == "" {
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		line = strings.TrimSpace(line)
		if m := traceResumed.FindStringSubmatch(line); m != nil {
			if e, ok := syncing[m[1]]; ok && strings.HasSuffix(line, "= 0") {
				events = append(events, e)
				delete(syncing, m[1])
			}
			continue
		}
		m := traceCall.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		thread, call, fd, path, rest := m[1], m[2], m[3], string(unhex(m[4])), m[5]
		ours := filepath.Dir(path) == dir
		e := event{file: filepath.Base(path)}
		switch call {
		case "write":
			if d := traceData.FindStringSubmatch(rest); fd == "1" && d != nil {
				events = append(events, event{kind: 'p', data: unhex(d[1])})
			}
			continue
		case "linkat", "renameat", "renameat2", "unlinkat":
			names := traceName.FindAllStringSubmatch(rest, -1)
			if len(names) == 0 || !strings.HasPrefix(string(unhex(names[0][1])), dir) || strings.Contains(line, "ENOENT") {
				continue
			}
			e.kind, e.file = call[0], filepath.Base(string(unhex(names[0][1])))
			if len(names) > 1 {
				e.to = filepath.Base(string(unhex(names[1][1])))
			}
			events = append(events, e)
		case "pwrite64":
			d := traceData.FindStringSubmatch(rest)
			if !ours {
				continue
			}
			if d == nil || d[2] == "" {
				return nil, fmt.Errorf("line %.100q", line)
			}
			if e.offset, err = strconv.ParseInt(d[2], 10, 64); err != nil {
				return nil, err
			}
			e.kind, e.data = 'w', unhex(d[1])
			events = append(events, e)
		case "ftruncate":
			if !ours {
				continue
			}
			e.kind = 't'
			if e.offset, err = strconv.ParseInt(traceSize.FindStringSubmatch(rest)[1], 10, 64); err != nil {
				return nil, err
			}
			events = append(events, e)
		case "fdatasync", "fsync":
			if !ours && path != dir {
				continue
			}
			syncs++
			e.sync, e.kind = syncs, 'd'
			if path != dir {
				e.kind = 's'
				events = append(events, e)
				e.kind = 'S'
			}
			if strings.Contains(line, "<unfinished") {
				syncing[thread] = e
			} else if strings.HasSuffix(line, "= 0") {
				events = append(events, e)
			}
		}
	}
}

// disk is a directory and its files, whose writes are lost unless they are synced. Names
// are lost, too, but in order: a file system that has a journal for them keeps a prefix.
type disk struct {
	names   map[string]*diskFile // as processes see them
	kept    map[string]*diskFile // after a crash
	renamed []event              // what has become of names since
	printed strings.Builder
	begun   map[int]int      // by sync: how many writes are pending when it begins
	ignore  func(event) bool // a sync that does nothing
}

type diskFile struct {
	durable []byte
	pending []event
}

func newDisk(ignore func(event) bool) *disk {
	return &disk{names: make(map[string]*diskFile), kept: make(map[string]*diskFile), begun: make(map[int]int), ignore: ignore}
}

// name applies what has become of a name.
func (e event) name(names map[string]*diskFile) {
	switch e.kind {
	case 'l':
		names[e.to] = names[e.file]
	case 'r':
		names[e.to] = names[e.file]
		delete(names, e.file)
	case 'u':
		delete(names, e.file)
	}
}

func (k *disk) apply(e event) {
	switch e.kind {
	case 'w', 't':
		f := k.names[e.file]
		if f == nil {
			f = &diskFile{}
			k.names[e.file] = f
			k.kept[e.file] = f // an empty file more does no harm
		}
		f.pending = append(f.pending, e)
	case 's':
		if f := k.names[e.file]; f != nil {
			k.begun[e.sync] = len(f.pending)
		}
	case 'S':
		if k.ignore != nil && k.ignore(e) {
			return
		}
		f := k.names[e.file]
		if f == nil {
			return
		}
		n := min(k.begun[e.sync], len(f.pending))
		for _, w := range f.pending[:n] {
			f.durable = w.on(f.durable)
		}
		f.pending = append([]event{}, f.pending[n:]...)
	case 'l', 'r', 'u':
		e.name(k.names)
		k.renamed = append(k.renamed, e)
	case 'd':
		if k.ignore != nil && k.ignore(e) {
			return
		}
		for _, r := range k.renamed {
			r.name(k.kept)
		}
		k.renamed = nil
	case 'p':
		k.printed.Write(e.data)
	}
}

// on is the file after a write or truncation.
func (e event) on(file []byte) []byte {
	end := int(e.offset) + len(e.data)
	for len(file) < end || e.kind == 't' && len(file) < int(e.offset) {
		file = append(file, make([]byte, max(end, int(e.offset))-len(file))...)
	}
	if e.kind == 't' {
		return file[:e.offset]
	}
	copy(file[e.offset:], e.data)
	return file
}

// now is the file as processes see it.
func (f *diskFile) now() []byte {
	file := append([]byte{}, f.durable...)
	for _, e := range f.pending {
		file = e.on(file)
	}
	return file
}

// crash is what the file may be: each write that was not synced is there, or not, or
// some of its sectors are, or its first bytes.
func (f *diskFile) crash(rng *rand.Rand) []byte {
	file := append([]byte{}, f.durable...)
	for _, e := range f.pending {
		switch how := rng.IntN(4); {
		case how == 0:
		case how == 1 || e.kind == 't':
			file = e.on(file)
		case how == 2:
			for at := 0; at < len(e.data); at += 512 {
				if rng.IntN(2) == 0 {
					file = event{kind: 'w', offset: e.offset + int64(at), data: e.data[at:min(at+512, len(e.data))]}.on(file)
				}
			}
		default: // a medium that does not even write whole sectors
			n := rng.IntN(len(e.data))
			if e.offset < 8192 && n > 0 && len(e.data) == 4096 { // within what a meta page holds
				n = rng.IntN(100)
			}
			file = event{kind: 'w', offset: e.offset, data: e.data[:n]}.on(file)
		}
	}
	return file
}

// lay makes an empty directory what is left after a crash.
func (k *disk) lay(dir string, rng *rand.Rand) error {
	names := maps.Clone(k.kept)
	for _, e := range k.renamed[:rng.IntN(len(k.renamed)+1)] {
		e.name(names)
	}
	for name, f := range names {
		if f != nil {
			if err := os.WriteFile(filepath.Join(dir, name), f.crash(rng), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}
