package fabric

import (
	"fmt"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// identify refuses a chassis whose certificate is another's: with TLS, its
// system-id is the common name of its certificate.
func (st *stream) identify(name string) error {
	p, ok := peer.FromContext(st.grpc.Context())
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return nil
	}
	if owner := info.State.PeerCertificates[0].Subject.CommonName; owner != name {
		return fmt.Errorf("chassis %q shows the certificate of %q", name, owner)
	}
	return nil
}
