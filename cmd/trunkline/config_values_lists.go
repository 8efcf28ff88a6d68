package main

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// destinationNames are those that TRUNKLINE_PUSH may hold.
var destinationNames = []string{jobs.DestinationDialedIn, jobs.DestinationConvolo, jobs.DestinationLendWorks}

// routes is where new leads go.
type routes []store.Route

// EnvDecode implements envconfig.Decoder.
func (r *routes) EnvDecode(text string) error {
	*r = nil
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		destination, condition, _ := strings.Cut(part, ":")
		if !slices.Contains(destinationNames, destination) {
			return errors.New("names a destination other than " + strings.Join(destinationNames, ", "))
		}
		c, err := pipeline.ParseCondition(condition)
		if err != nil {
			return errors.New("has a condition that cannot be read: " + err.Error())
		}
		*r = append(*r, store.Route{Destination: destination, Condition: c})
	}
	return nil
}

// names returns the destinations, each once.
func (r routes) names() []string {
	var names []string
	for _, route := range r {
		names = append(names, route.Destination)
	}
	slices.SortFunc(names, cmp.Compare)
	return slices.Compact(names)
}

// networks are addresses of clients, comma list.
type networks []netip.Prefix

// EnvDecode implements envconfig.Decoder. A single address is a network of one.
func (n *networks) EnvDecode(text string) error {
	*n = nil
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			addr, bad := netip.ParseAddr(part)
			if bad != nil || addr.Zone() != "" {
				return errors.New("must be a comma list of networks, such as 66.85.240.0/21")
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		*n = append(*n, unmapped(prefix).Masked())
	}
	return nil
}

// unmapped writes a network of IPv4 addresses that are spelt as IPv6 in their own way, as peers' addresses are compared.
func unmapped(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// pairs is name=value, comma list.
type pairs map[string]string

// EnvDecode implements envconfig.Decoder.
func (p *pairs) EnvDecode(text string) error {
	*p = pairs{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || name == "" {
			return errors.New("must be a comma list of name=value")
		}
		(*p)[name] = value
	}
	return nil
}

// fieldMap is DialedIn's our=theirs.
type fieldMap map[string]string

// EnvDecode implements envconfig.Decoder.
func (f *fieldMap) EnvDecode(text string) error {
	m, err := dialedin.ParseFields(text)
	*f = m
	return err
}

// agents is Convolo's name:phone.
type agents []convolo.Agent

// EnvDecode implements envconfig.Decoder.
func (a *agents) EnvDecode(text string) error {
	list, err := convolo.ParseAgents(text)
	*a = list
	return err
}

// prefixed is every variable whose name begins alike, by the rest of the name in lower case.
type prefixed map[string]string
