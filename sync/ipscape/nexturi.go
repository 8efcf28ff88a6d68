package ipscape

import (
	"errors"
	"net/url"
	"strings"
)

// errForeignHost is a next page that is not on the configured host.
var errForeignHost = errors.New("nextUri points at another host")

// cursorOf takes the cursor out of a nextUri. The rest of it is not followed: the sample URIs leave out the filters and the
// public mount /platform-api (contracts/ipscape.md 5.1), and a token must not go where an answer says. A nextUri on another
// host is refused all the same, since whoever wrote it is not the vendor we asked.
func cursorOf(base *url.URL, nextURI string) (string, error) {
	u, err := url.Parse(nextURI)
	if err != nil {
		return "", malformed("nextUri cannot be read")
	}
	if !sameHost(base, u) {
		return "", errForeignHost
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		value, ok := strings.CutPrefix(pair, "cursor=")
		if !ok {
			continue
		}
		// Reading it and writing it again keeps a raw "+" what it was: a blank to the server, "+" on the wire.
		cursor, err := url.QueryUnescape(value)
		if err != nil {
			return "", malformed("the cursor in nextUri cannot be read")
		}
		if cursor != "" {
			return cursor, nil
		}
	}
	return "", malformed("nextUri has no cursor")
}

// sameHost tells whether u is relative or on base's host and port. The scheme does not count, nor does a port left out where
// base uses an ordinary one: a service behind a TLS proxy writes http:// and knows no better, and u is not followed anyway.
func sameHost(base, u *url.URL) bool {
	switch strings.ToLower(u.Scheme) {
	case "", "http", "https":
	default:
		return false
	}
	if u.Host == "" {
		return u.Scheme == "" && u.User == nil
	}
	if u.User != nil || !strings.EqualFold(u.Hostname(), base.Hostname()) {
		return false
	}
	port := base.Port()
	return u.Port() == port || (ordinaryPort(u.Port()) && ordinaryPort(port))
}

func ordinaryPort(port string) bool { return port == "" || port == "80" || port == "443" }
