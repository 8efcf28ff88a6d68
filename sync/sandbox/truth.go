package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Truth is what a daemon that has read and sent everything must agree with.
type Truth struct {
	// IPSCAPE counts the rows visible now, by stream: activities, leads, lead_lists, campaigns, users, dial_attempts.
	IPSCAPE map[string]int `json:"ipscape"`
	// Convoso is the truth of the acknowledged posts, ConvosoPlan that of the whole plan.
	Convoso     ConvosoTruth `json:"convoso"`
	ConvosoPlan ConvosoTruth `json:"convoso_plan"`
	// DialedInLeads are stored leads; DialedInDialled of them ring; DialedInTwice are ClientIds stored more than once.
	DialedInLeads   int `json:"dialedin_leads"`
	DialedInDialled int `json:"dialedin_dialled"`
	DialedInTwice   int `json:"dialedin_twice"`
	DialedInDNC     int `json:"dialedin_dnc"`
	// ConvoloCalls are started calls; ConvoloTwice are references that rang more than once.
	ConvoloCalls    int `json:"convolo_calls"`
	ConvoloTwice    int `json:"convolo_twice"`
	ConvoloWebhooks int `json:"convolo_webhooks"`
	// LendWorksLeads are all leads it holds, LendWorksOwn those made through its API; LendWorksTwice are leads of ours made more
	// than once.
	LendWorksLeads    int `json:"lendworks_leads"`
	LendWorksOwn      int `json:"lendworks_own"`
	LendWorksTwice    int `json:"lendworks_twice"`
	LendWorksWebhooks int `json:"lendworks_webhooks"`
	Violations        int `json:"violations"`
}

// Truth counts what the vendors hold now.
func (s *Sandbox) Truth() Truth {
	t := Truth{
		IPSCAPE: s.ipscape.counts(), Convoso: s.convoso.TruthOf(s.convoso.Acked()), ConvosoPlan: s.convoso.TruthOf(s.convoso.posts),
		DialedInDNC: len(s.dialedin.DNC()), DialedInTwice: repeated(s.dialedin.InsertsByClientID()),
		ConvoloCalls: len(s.convolo.Calls()), ConvoloTwice: repeated(s.convolo.RingsByRef()), ConvoloWebhooks: len(s.convolo.Delivered()),
		Violations: len(s.Violations()),
	}
	t.LendWorksTwice, t.LendWorksWebhooks = repeated(s.lendworks.ByOurID("trunkline_lead_id")), len(s.lendworks.Delivered())
	for _, l := range s.lendworks.Leads() {
		t.LendWorksLeads++
		if l.Own {
			t.LendWorksOwn++
		}
	}
	for _, l := range s.dialedin.Leads() {
		t.DialedInLeads++
		if l.Dialled {
			t.DialedInDialled++
		}
	}
	return t
}

func repeated(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		if c > 1 {
			n++
		}
	}
	return n
}

// admin serves the sandbox's own pages, for a daemon or a script in another process.
func (s *Sandbox) admin(mux *http.ServeMux) {
	page := func(content func() any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { s.writeJSON(w, http.StatusOK, content()) }
	}
	mux.HandleFunc("GET /_sandbox/truth", page(func() any { return s.Truth() }))
	mux.HandleFunc("GET /_sandbox/requests", page(func() any { return s.Requests() }))
	mux.HandleFunc("GET /_sandbox/violations", page(func() any { return s.Violations() }))
	mux.HandleFunc("POST /_sandbox/faults", func(w http.ResponseWriter, r *http.Request) {
		orders, err := decodeFaults(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			s.writeJSON(w, http.StatusBadRequest, wireError{"bad_request", err.Error()})
			return
		}
		s.faults.Add(orders...)
		s.writeJSON(w, http.StatusOK, map[string]int{"ordered": len(orders)})
	})
	mux.HandleFunc("DELETE /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.faults.Clear()
		w.WriteHeader(http.StatusNoContent)
	})
}

func (s *Sandbox) writeJSON(w http.ResponseWriter, status int, v any) {
	out := jsonReply(status, v)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(out.status)
	_, _ = w.Write(out.body)
}

// wireFault is a fault as a script writes it, with the delay as text ("2s").
type wireFault struct {
	Fault
	Delay string `json:"delay"`
}

// decodeFaults reads one fault or an array of them.
func decodeFaults(body interface{ Read([]byte) (int, error) }) ([]Fault, error) {
	var text json.RawMessage
	if err := json.NewDecoder(body).Decode(&text); err != nil {
		return nil, fmt.Errorf("body is not JSON: %w", err)
	}
	var wires []wireFault
	if err := json.Unmarshal(text, &wires); err != nil {
		var one wireFault
		if err := json.Unmarshal(text, &one); err != nil {
			return nil, fmt.Errorf("not a fault: %w", err)
		}
		wires = []wireFault{one}
	}
	out := make([]Fault, 0, len(wires))
	for _, w := range wires {
		if !known(w.Kind) {
			return nil, fmt.Errorf("unknown kind of fault %q", w.Kind)
		}
		if w.Delay != "" {
			delay, err := time.ParseDuration(w.Delay)
			if err != nil {
				return nil, fmt.Errorf("delay: %w", err)
			}
			w.Fault.Delay = delay
		}
		out = append(out, w.Fault)
	}
	return out, nil
}

// known says whether a kind can ever be applied.
func known(kind FaultKind) bool {
	for _, vendor := range []string{VendorIPSCAPE, VendorDialedIn} {
		for _, op := range []string{OpListActivities, OpListLeads} {
			if applies(kind, vendor, op, true) {
				return true
			}
		}
	}
	return false
}
