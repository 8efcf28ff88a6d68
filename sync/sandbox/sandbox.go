package sandbox

import (
	"net/http"
	"time"
	_ "time/tzdata" // The seeded zones must load on machines without a zone database too.
)

// Names of the vendors, as they stand in Request.Vendor and Fault.Vendor.
const (
	VendorIPSCAPE   = "ipscape"
	VendorDialedIn  = "dialedin"
	VendorConvolo   = "convolo"
	VendorConvoso   = "convoso"
	VendorLendWorks = "lendworks"
)

// Sandbox is the state of all simulated vendors. It is safe for concurrent use.
type Sandbox struct {
	opt       Options
	secrets   secrets
	requests  *requestLog
	faults    *Faults
	ipscape   *IPSCAPE
	dialedin  *DialedIn
	convolo   *Convolo
	convoso   *Convoso
	lendworks *LendWorks
	handler   http.Handler
}

// New builds the state of a sandbox; nothing listens yet. It panics when Options.Now is missing, since there is no honest
// default for a clock.
func New(opt Options) *Sandbox {
	if opt.Now == nil {
		panic("sandbox: Options.Now is required")
	}
	opt = opt.withDefaults()
	start := opt.Now().UTC().Truncate(time.Second)
	s := &Sandbox{
		opt:      opt,
		secrets:  newSecrets(opt.Seed),
		requests: newRequestLog(),
		faults:   newFaults(),
	}
	people := newWorld(opt.Seed, opt.Leads, convosoLeadCount(opt.Posts))
	s.ipscape = newIPSCAPE(s, start, people)
	s.dialedin = newDialedIn(s)
	s.convolo = newConvolo(s)
	s.convoso = newConvoso(s, start, people)
	s.lendworks = newLendWorks(s)
	s.handler = s.routes()
	return s
}

// Handler answers for every vendor: ipSCAPE below /ipscape, DialedIn below /HttpImport/, Convolo at
// /rest/v1/ext/add_call_api/, LendWorks below /lendworks, and the sandbox's own /_sandbox/ pages.
func (s *Sandbox) Handler() http.Handler { return s.handler }

// IPSCAPE is the simulated ipSCAPE account.
func (s *Sandbox) IPSCAPE() *IPSCAPE { return s.ipscape }

// DialedIn is the simulated DialedIn account.
func (s *Sandbox) DialedIn() *DialedIn { return s.dialedin }

// Convolo is the simulated Convolo widget.
func (s *Sandbox) Convolo() *Convolo { return s.convolo }

// Convoso is the simulated Convoso account, which posts to us.
func (s *Sandbox) Convoso() *Convoso { return s.convoso }

// LendWorks is the simulated LendWorks organisation.
func (s *Sandbox) LendWorks() *LendWorks { return s.lendworks }

// Faults are the faults ordered for the vendors' answers.
func (s *Sandbox) Faults() *Faults { return s.faults }

// Requests are all requests answered so far, oldest first, without secrets and phones.
func (s *Sandbox) Requests() []Request { return s.requests.all() }

// Violations say what a client did that a vendor's contract forbids, in order, each text once per occurrence. They hold
// neither secrets nor phones.
func (s *Sandbox) Violations() []string { return s.requests.violations() }

func (s *Sandbox) now() time.Time { return s.opt.Now().UTC() }

func (s *Sandbox) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(ipscapeMount+"/", s.ipscape.routes())
	s.dialedin.routes(mux)
	s.convolo.routes(mux)
	s.convoso.routes(mux)
	s.lendworks.routes(mux)
	s.admin(mux)
	return mux
}
