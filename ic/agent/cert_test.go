package agent

import (
	"os"
	"strings"
	"testing"

	"govn/pkg/certs/certstest"
)

// Keys that are replaced while the agent runs are used from its next connection on:
// with a certificate of another name the centre does not let the zone in, and with a
// new one of its own name it is back, without a new start. Files that are no keys
// do no harm.
func TestCertificateReplaced(t *testing.T) {
	s := newSite(t)
	s.ca = certstest.NewAuthority(t, "ca")
	s.keys = s.ca.Issue("everybody")
	stop := s.centre()
	s.ops("icnb", "OVN_IC_Northbound", `{"op":"insert","table":"Transit_Switch","row":{"name":"ts1"}}`)
	s.zone("east", 1)
	keys := s.ca.Issue("east")
	_, east := s.agentWith("east", Options{NB: s.at("east", false), SB: s.at("east", false), IC: s.at("fabric", false), Keys: keys})
	again := func() {
		stop()
		s.until("the end of the stream", func() bool { return !east().Centre.Connected })
		stop = s.centre()
	}
	s.until("the zone joins", func() bool { return east().Centre.Connected })

	s.ca.IssueTo(keys, "other")
	if st := east(); !st.Centre.Connected || !st.Databases[0].Connected {
		t.Errorf("a connection ends as its certificate is replaced: %+v", st)
	}
	again()
	s.until("the other certificate is refused", func() bool { return strings.Contains(east().Centre.LastError, `bound to the certificate of "east"`) })

	s.ca.IssueTo(keys, "east")
	s.until("the zone joins by its new certificate", func() bool { return east().Centre.Connected })
	if err := os.WriteFile(keys.Certificate, []byte("half of"), 0o600); err != nil {
		t.Fatal(err)
	}
	again()
	s.until("the zone joins by the last certificate that could be read", func() bool { return east().Centre.Connected })
}
