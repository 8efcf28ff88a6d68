package webhook

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// names resolves what is listed and nothing else.
type names map[string]string

func (n names) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	text, ok := n[host]
	if !ok {
		return nil, errors.New("no such host")
	}
	var addrs []netip.Addr
	for part := range strings.SplitSeq(text, " ") {
		addrs = append(addrs, netip.MustParseAddr(part))
	}
	return addrs, nil
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	known := names{
		"hooks.example.com": "93.184.215.14 2606:2800:21f:cb07:6820:80da:af6b:8b2c", "localhost": "127.0.0.1",
		"rebound.example.com": "93.184.215.14 10.0.0.1", "inside.corp.internal": "10.1.2.3", "both.example.com": "10.1.2.3 93.184.215.14",
		"six.example.com": "64:ff9b::a00:1",
	}
	for _, c := range []struct {
		url string
		// ok without and with 10.1.0.0/16 and 127.0.0.0/8 allowed.
		ok, allowed bool
	}{
		{"https://hooks.example.com/a?b=c", true, true},
		{"https://hooks.example.com:8443/", true, true},
		{"https://unknown.example.com/", true, true}, // may come to be; the dial is checked
		{"https://93.184.215.14/", true, true},
		{"https://[2606:2800:21f::1]/", true, true},
		{"http://hooks.example.com/", false, false},
		{"http://unknown.example.com/", false, false},
		{"https://inside.corp.internal/", false, true},
		{"http://inside.corp.internal/", false, true},
		{"http://10.1.2.3:9000/hook", false, true},
		{"http://127.0.0.1:9000/hook", false, true},
		{"https://localhost/", false, true},
		{"https://both.example.com/", false, true},
		{"http://both.example.com/", false, false},
		{"https://rebound.example.com/", false, false},
		{"https://six.example.com/", false, false},
		{"https://10.2.0.1/", false, false},
	} {
		for _, g := range []*Guard{{Lookup: known.lookup}, {Lookup: known.lookup, Allow: prefixes("10.1.0.0/16", "127.0.0.0/8")}} {
			want := c.ok
			if g.Allow != nil {
				want = c.allowed
			}
			if err := g.CheckURL(t.Context(), c.url); (err == nil) != want {
				t.Errorf("%s with %v allowed: %v", c.url, g.Allow, err)
			}
		}
	}
}

// Spellings of addresses that lead inside, and addresses that are none.
func TestCheckURLRefuses(t *testing.T) {
	t.Parallel()
	g := &Guard{Lookup: names{}.lookup}
	for _, url := range []string{
		"https://127.0.0.1/", "https://127.1/", "https://127.0.1/", "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://0x7f000001/",
		"https://2130706433/", "https://017700000001/", "https://127.0.0.1./", "https://0/", "https://0.0.0.0/", "https://[::]/", "https://[::1]/",
		"https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[fe80::1]/", "https://[fe80::1%25lo]/",
		"https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::1]/", "https://[2002:7f00:1::]/",
		"https://[2001::1]/", "https://[2001:db8::1]/", "https://[3fff::1]/", "https://[ff02::1]/", "https://[100::1]/", "https://[5f00::1]/",
		"https://10.0.0.1/", "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/",
		"https://100.64.0.1/", "https://100.127.255.255/", "https://100.100.100.200/", "https://192.0.0.192/", "https://192.0.2.1/",
		"https://192.88.99.1/", "https://198.18.0.1/", "https://198.19.255.255/", "https://198.51.100.1/", "https://203.0.113.1/", "https://224.0.0.1/",
		"https://240.0.0.1/", "https://255.255.255.255/", "https://168.63.129.16/",
		"https://localhost/", "https://LOCALHOST./", "https://a.localhost/", "https://metadata.google.internal/", "https://printer.local/", "https://intranet/",
		"https://１２７.０.０.１/", "https://①②⑦.⓪.⓪.①/", "https://example。com/", "https://%31%32%37.0.0.1/", "https://user:pw@hooks.example.com/",
		"https://user@hooks.example.com/", "https://hooks.example.com/#a", "ftp://hooks.example.com/", "file:///etc/passwd", "//hooks.example.com/",
		"hooks.example.com", "https:hooks.example.com", "https:///x", "https://", "", "javascript:alert(1)", "https://a..b/", "https://hooks.example.com:x/",
		"https://ho oks.example.com/", "https://hooks.example.com\\@127.0.0.1/", "https://hooks.example.com\x00/", "https://" + strings.Repeat("a", 3000) + ".com/",
	} {
		if err := g.CheckURL(t.Context(), url); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	g := &Guard{Allow: prefixes("10.1.0.0/16")}
	for _, c := range []struct {
		address    string
		tls, plain bool
	}{
		{"93.184.215.14:443", true, false},
		{"[2606:2800:21f::1]:443", true, false},
		{"10.1.2.3:80", true, true},
		{"[::ffff:10.1.2.3]:80", true, true},
		{"10.2.0.1:443", false, false},
		{"127.0.0.1:443", false, false},
		{"[::ffff:127.0.0.1]:443", false, false},
		{"[fe80::1%lo]:443", false, false},
		{"[64:ff9b::a01:203]:443", false, false},
		{"nonsense", false, false},
	} {
		if err := g.control(false)("tcp", c.address, nil); (err == nil) != c.tls {
			t.Errorf("https to %s: %v", c.address, err)
		}
		if err := g.control(true)("tcp", c.address, nil); (err == nil) != c.plain {
			t.Errorf("http to %s: %v", c.address, err)
		}
	}
}
