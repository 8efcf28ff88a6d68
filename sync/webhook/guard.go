package webhook

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Guard keeps webhooks away from addresses that an outsider must not reach through us. It is asked when an endpoint is made
// and again for every address that is dialled: a name may point elsewhere by then.
type Guard struct {
	// Allow are networks that endpoints may lie in although they are private (TRUNKLINE_WEBHOOK_ALLOW_CIDRS). Only there
	// plain http is taken.
	Allow []netip.Prefix
	// Lookup resolves a name; nil asks the system.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Refusal says why an address is not taken, in words for whoever gave it.
type Refusal struct{ Why string }

// Error implements error.
func (r *Refusal) Error() string { return r.Why }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Networks that are not the public internet, by the registries of IANA for special purposes; the predicates of net/netip
// know but a part of them. Of IPv6 only global unicast is public, less what is listed.
var (
	special4 = prefixes(
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"224.0.0.0/4", "240.0.0.0/4",
		"168.63.129.16/32", // the metadata and DNS address of a large cloud, in public space
	)
	public6  = netip.MustParsePrefix("2000::/3") // leaves out loopback, link-local, unique local, NAT64 and mapped addresses
	special6 = prefixes(
		"2001::/23",     // protocol assignments, Teredo among them
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4 holds an IPv4 address of anybody's choice
		"3fff::/20",     // documentation
	)
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// Public tells whether an address is one of the public internet.
func Public(addr netip.Addr) bool {
	addr = addr.Unmap()
	in := func(p netip.Prefix) bool { return p.Contains(addr) }
	switch {
	case !addr.IsValid() || addr.Zone() != "":
		return false
	case addr.Is4():
		return !slices.ContainsFunc(special4, in)
	default:
		return public6.Contains(addr) && !slices.ContainsFunc(special6, in)
	}
}

func (g *Guard) allowed(addr netip.Addr) bool {
	addr = addr.Unmap()
	return slices.ContainsFunc(g.Allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// lookupTimeout bounds how long a name is looked up for while a client waits.
const lookupTimeout = 2 * time.Second

// maxURL is the longest address that is taken.
const maxURL = 2048

// CheckURL tells whether webhooks may be sent to an address; the error is a *Refusal. A name that nobody can resolve now may
// come to be: it is checked when it is dialled.
func (g *Guard) CheckURL(ctx context.Context, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURL || u.Opaque != "":
		return refuse("is not an address of at most %d characters", maxURL)
	case u.Scheme != "https" && u.Scheme != "http":
		return refuse("must begin with https://")
	case u.User != nil:
		return refuse("must hold no credentials")
	case u.Fragment != "":
		return refuse("must have no fragment")
	}
	addrs, err := g.resolve(ctx, u)
	if err != nil {
		return err
	}
	allowed := len(addrs) > 0
	for _, a := range addrs {
		if !g.allowed(a) {
			allowed = false
			if !Public(a) {
				return refuse("leads to a private or reserved network")
			}
		}
	}
	switch {
	case allowed:
		return nil
	case u.Scheme != "https":
		return refuse("must begin with https://")
	case len(addrs) == 0 && reservedName(u.Hostname()):
		return refuse("leads to a private or reserved network")
	}
	return nil
}

// resolve returns the addresses of the URL's host, none for a name that does not resolve.
func (g *Guard) resolve(ctx context.Context, u *url.URL) ([]netip.Addr, error) {
	host := strings.TrimSuffix(u.Hostname(), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return nil, refuse("leads to a private or reserved network")
		}
		return []netip.Addr{addr}, nil
	}
	if !hostName(host) {
		return nil, refuse("has no valid host name")
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	lookup := g.Lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	addrs, err := lookup(ctx, host)
	if err != nil {
		return nil, nil //nolint:nilerr // see CheckURL
	}
	return addrs, nil
}

// hostName tells whether text is a name of ASCII labels. One whose last label is a number is an IPv4 address in one of the
// spellings that some resolvers take (127.1, 0x7f.1, 2130706433): never a name.
func hostName(text string) bool {
	if text == "" || len(text) > 253 {
		return false
	}
	labels := strings.Split(text, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	return last[0] < '0' || last[0] > '9'
}

// reservedName tells whether a name is one of this machine or of a private network.
func reservedName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !strings.Contains(host, ".") {
		return true
	}
	for _, suffix := range []string{".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa", ".localdomain"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// errAddress is what a dial to a refused address fails with.
var errAddress = &Refusal{"the address is of a private or reserved network"}

// control is net.Dialer.Control: it sees the address that is about to be connected to. Over plain http only allowed networks are.
func (g *Guard) control(plain bool) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		peer, err := netip.ParseAddrPort(address)
		if err != nil {
			return errAddress
		}
		if g.allowed(peer.Addr()) || !plain && Public(peer.Addr()) {
			return nil
		}
		return errAddress
	}
}
