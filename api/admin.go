package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// admitOps lets in the holder of the admin token, and a peer on this machine that speaks to us directly. The Host must be
// a loopback one too: a page in a local browser can be made to call us under another name. A forwarding header shows a
// proxy, whose own address says nothing of who is behind it.
func (s *Server) admitOps(r *http.Request) error {
	if s.adminToken(r) || direct(r) {
		return nil
	}
	return forbidden("this needs the admin token, or a direct call from the machine itself")
}

func (s *Server) adminToken(r *http.Request) bool {
	token, ok := bearer(r.Header.Get("Authorization"))
	if !ok || s.cfg.AdminToken == "" {
		return false
	}
	given, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.cfg.AdminToken.Reveal()))
	return subtle.ConstantTimeCompare(given[:], want[:]) == 1
}

func direct(r *http.Request) bool {
	for name := range r.Header {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded") {
			return false
		}
	}
	peer, ok := peerAddr(r)
	return ok && peer.IsLoopback() && loopbackHost(r.Host)
}

// peerAddr returns the address at the other end of the connection.
func peerAddr(r *http.Request) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return peer.Addr().Unmap(), err == nil
}

func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
