package vendorapi

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// ParseBase reads the address under which a vendor is reached; a missing slash at its end is added. Errors do not quote the
// text, which may be a secret that was pasted into the wrong variable.
func ParseBase(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("is no https:// URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("must have no user, query or fragment")
	case u.Scheme == "http" && !nearby(u.Hostname()):
		return nil, errors.New("must be https://: over http:// credentials could be read on the way")
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u, nil
}

// nearby tells whether a host is this machine or one of a private network, where plain http serves a simulator.
func nearby(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback() || ip.IsPrivate()
	}
	return !strings.Contains(host, ".")
}
