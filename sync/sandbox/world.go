package sandbox

import (
	"fmt"
	"strings"
)

// person is one made-up borrower, the same for whichever vendor speaks of them.
type person struct {
	first, last string
	business    string
	industry    string
	email       string
	phone       string // E.164
	city, state string
	zip         string
	zone        string
	australian  bool
}

// national is the phone as Convoso and DialedIn write it: ten digits of a North American number.
func (p person) national() string { return strings.TrimPrefix(p.phone, "+1") }

// place is an area code with where it lies. Its numbers are valid by form; whether one is in use nobody asked.
type place struct {
	area, city, state, zip, zone string
}

var americanPlaces = []place{
	{"503", "Portland", "OR", "97205", "America/Los_Angeles"},
	{"206", "Seattle", "WA", "98101", "America/Los_Angeles"},
	{"415", "San Francisco", "CA", "94103", "America/Los_Angeles"},
	{"619", "San Diego", "CA", "92101", "America/Los_Angeles"},
	{"702", "Las Vegas", "NV", "89101", "America/Los_Angeles"},
	{"602", "Phoenix", "AZ", "85003", "America/Phoenix"},
	{"303", "Denver", "CO", "80202", "America/Denver"},
	{"801", "Salt Lake City", "UT", "84101", "America/Denver"},
	{"512", "Austin", "TX", "78701", "America/Chicago"},
	{"312", "Chicago", "IL", "60601", "America/Chicago"},
	{"615", "Nashville", "TN", "37201", "America/Chicago"},
	{"212", "New York", "NY", "10001", "America/New_York"},
	{"305", "Miami", "FL", "33101", "America/New_York"},
	{"404", "Atlanta", "GA", "30303", "America/New_York"},
	{"617", "Boston", "MA", "02108", "America/New_York"},
	{"808", "Honolulu", "HI", "96813", "Pacific/Honolulu"},
}

var australianPlaces = []place{
	{"", "Sydney", "NSW", "2000", "Australia/Sydney"},
	{"", "Melbourne", "VIC", "3000", "Australia/Melbourne"},
	{"", "Brisbane", "QLD", "4000", "Australia/Brisbane"},
	{"", "Perth", "WA", "6000", "Australia/Perth"},
	{"", "Adelaide", "SA", "5000", "Australia/Adelaide"},
}

var (
	firstNames = []string{"Ana", "Ben", "Carla", "Dmitri", "Elena", "Farid", "Grace", "Hector", "Imani", "José", "Keiko", "Liam", "Maya", "Nils", "Olivia", "Priya", "Quentin", "Rosa", "Siobhán", "Tariq", "Uma", "Victor", "Wen", "Yara", "Zoë"}
	lastNames  = []string{"Abbott", "Bauer", "Cruz", "Delgado", "Eriksen", "Fontaine", "Grant", "Hollis", "Ivanov", "Jensen", "Kaplan", "Lindqvist", "Moreno", "Nakamura", "O'Neil", "Pereira", "Quist", "Ruiz", "Schmidt", "Tran", "Ueda", "Vance", "Whitaker", "Young", "Zeller"}
	trades     = []struct{ word, industry string }{
		{"Bakery", "Restaurants"},
		{"Auto Repair", "Automotive"},
		{"Landscaping", "Construction"},
		{"Dental", "Health care"},
		{"Freight", "Transportation"},
		{"Roofing", "Construction"},
		{"Salon", "Personal services"},
		{"Print Shop", "Printing"},
		{"Plumbing", "Construction"},
		{"Coffee", "Restaurants"},
		{"Machine Works", "Manufacturing"},
		{"Pet Care", "Personal services"},
	}
	businessHeads = []string{"Birch Hill", "Blue Anchor", "Cedar Creek", "Copper Kettle", "Eastgate", "Fox River", "Granite Bay", "Harbor", "Juniper", "Kestrel", "Lakeside", "Maple & Main", "Northfield", "Old Mill", "Prairie Star", "Quarry Road", "Red Barn", "Silver Fern", "Tall Pines", "Westbrook"}
)

// newWorld makes the people: the first `leads` of them are ipSCAPE's, one in ten of those Australian, and `extra` more,
// all American, are known to Convoso alone.
func newWorld(seed uint64, leads, extra int) []person {
	r := newRNG(seed, "people")
	taken := make(map[string]bool, leads+extra)
	out := make([]person, 0, leads+extra)
	for i := range leads + extra {
		out = append(out, newPerson(r, i, i < leads && i%10 == 7, taken))
	}
	return out
}

func newPerson(r *rng, index int, australian bool, taken map[string]bool) person {
	trade := pick(r, trades)
	p := person{
		first: pick(r, firstNames), last: pick(r, lastNames), australian: australian,
		business: pick(r, businessHeads) + " " + trade.word + " LLC", industry: trade.industry,
	}
	where := pick(r, americanPlaces)
	if australian {
		where = pick(r, australianPlaces)
		p.business = strings.TrimSuffix(p.business, "LLC") + "Pty Ltd"
	}
	p.city, p.state, p.zip, p.zone = where.city, where.state, where.zip, where.zone
	p.email = fmt.Sprintf("%s.%s%d@%s.example", plain(p.first), plain(p.last), index, plain(p.business))
	for p.phone == "" || taken[p.phone] {
		p.phone = newPhone(r, where, australian)
	}
	taken[p.phone] = true
	return p
}

// newPhone draws a number that validators accept: no N11, no 555, no exchange kept for the carriers.
func newPhone(r *rng, where place, australian bool) string {
	if australian {
		return fmt.Sprintf("+61491%06d", r.intN(1_000_000))
	}
	exchange := r.between(200, 949)
	for exchange%100 == 11 || exchange == 555 {
		exchange = r.between(200, 949)
	}
	return fmt.Sprintf("+1%s%03d%04d", where.area, exchange, r.intN(10_000))
}

// plain folds a name into what an address may hold.
func plain(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c + ('a' - 'A')
		}
		return -1
	}, name)
}
