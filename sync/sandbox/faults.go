package sandbox

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// FaultKind names what goes wrong.
type FaultKind string

// Faults of the transport and of whole answers, for every vendor. "Effect" says whether the vendor acted on the request.
const (
	// FaultStatus answers Status (default 500) with Header and Body. Effect only with Fault.Effect.
	FaultStatus FaultKind = "status"
	// FaultBadGateway answers 502 with an HTML page. Effect only with Fault.Effect.
	FaultBadGateway FaultKind = "bad_gateway"
	// FaultLoginPage answers 200 with an HTML login page. Effect only with Fault.Effect.
	FaultLoginPage FaultKind = "login_page"
	// FaultErrorJSON answers 200 with JSON that speaks of an error. Effect only with Fault.Effect.
	FaultErrorJSON FaultKind = "error_json"
	// FaultEmpty answers 200 without a body. Effect only with Fault.Effect.
	FaultEmpty FaultKind = "empty"
	// FaultCutBefore closes the connection before the vendor acted.
	FaultCutBefore FaultKind = "cut_before"
	// FaultCutAfter acts, then closes the connection instead of answering.
	FaultCutAfter FaultKind = "cut_after"
	// FaultStall sends nothing for Delay (0: until the client goes), then acts and answers if the client still waits.
	FaultStall FaultKind = "stall"
	// FaultHang acts at once and holds the answer back for Delay (0: until the client goes).
	FaultHang FaultKind = "hang"
	// FaultDrip acts and sends the answer a few bytes at a time, Delay (default 50 ms) apart.
	FaultDrip FaultKind = "drip"
	// FaultTruncated acts and sends the first half of the body as if it were all.
	FaultTruncated FaultKind = "truncated"
	// FaultWrongLength acts and promises more bytes than it sends.
	FaultWrongLength FaultKind = "wrong_length"
	// FaultGzipBomb acts and answers with one GiB of blanks behind gzip.
	FaultGzipBomb FaultKind = "gzip_bomb"
)

// Faults of ipSCAPE lists and items. They never change the state, only what one answer says of it.
const (
	// FaultRepeatCursor names the cursor that was sent as the next one. Only requests with a cursor match.
	FaultRepeatCursor FaultKind = "repeat_cursor"
	// FaultCursorCycle leads from a later page back to the first one. Only requests with a cursor match.
	FaultCursorCycle FaultKind = "cursor_cycle"
	// FaultEmptyPage answers no rows and a next page that goes on where this one should have begun.
	FaultEmptyPage FaultKind = "empty_page"
	// FaultForeignHost puts nextUri on another host.
	FaultForeignHost FaultKind = "foreign_host"
	// FaultExpiredCursor refuses the cursor with Status (default 410). Only requests with a cursor match.
	FaultExpiredCursor FaultKind = "expired_cursor"
	// FaultHugePage puts all remaining rows into one page.
	FaultHugePage FaultKind = "huge_page"
	// FaultIgnoreFilters answers as if no filter had been sent.
	FaultIgnoreFilters FaultKind = "ignore_filters"
	// FaultReverse sends a page's rows in reverse order.
	FaultReverse FaultKind = "reverse"
	// FaultUnknownType gives the first activity an unknown type.
	FaultUnknownType FaultKind = "unknown_type"
	// FaultUnknownField adds a field nobody has heard of to every item.
	FaultUnknownField FaultKind = "unknown_field"
	// FaultWrapCodeString sends wrap codes as strings.
	FaultWrapCodeString FaultKind = "wrap_code_string"
	// FaultOutcomesObject sends outcomesByCode as one object.
	FaultOutcomesObject FaultKind = "outcomes_object"
	// FaultOutcomesArray sends outcomesByCode as an array of objects.
	FaultOutcomesArray FaultKind = "outcomes_array"
	// FaultOutcomesEmptyList sends outcomesByCode as [].
	FaultOutcomesEmptyList FaultKind = "outcomes_empty_list"
	// FaultDataFieldsEmptyList sends dataFields as [].
	FaultDataFieldsEmptyList FaultKind = "data_fields_empty_list"
	// FaultMissingID leaves the id out of the first item.
	FaultMissingID FaultKind = "missing_id"
	// FaultWrongType sends the first item's id as an object.
	FaultWrongType FaultKind = "wrong_type"
	// FaultBareItem sends a string in place of the first item.
	FaultBareItem FaultKind = "bare_item"
	// FaultNUL puts a NUL escape into a text of the first item, which jsonb refuses.
	FaultNUL FaultKind = "nul"
	// FaultLoneSurrogate puts half of a surrogate pair into a text of the first item, which jsonb refuses.
	FaultLoneSurrogate FaultKind = "lone_surrogate"
	// FaultInvalidUTF8 puts bytes that are no UTF-8 into a text of the first item.
	FaultInvalidUTF8 FaultKind = "invalid_utf8"
	// FaultHugeItem gives the first item a field of five MB.
	FaultHugeItem FaultKind = "huge_item"
	// FaultDeepItem gives the first item a field that is nested a hundred thousand times.
	FaultDeepItem FaultKind = "deep_item"
)

// Faults of DialedIn alone.
const (
	// FaultFrontTimeout stores the lead and answers 200 with the front's "CURL error[28]".
	FaultFrontTimeout FaultKind = "front_timeout"
	// FaultLyingOK answers OK without having stored anything.
	FaultLyingOK FaultKind = "lying_ok"
)

// Fault is one order: what goes wrong, where and how often.
type Fault struct {
	// Vendor and Op narrow the fault to requests; empty matches all.
	Vendor string    `json:"vendor,omitempty"`
	Op     string    `json:"op,omitempty"`
	Kind   FaultKind `json:"kind"`
	// Times is how often it happens: 0 means once, below 0 always.
	Times int `json:"times,omitempty"`
	// After is how many matching requests pass unharmed first.
	After int `json:"after,omitempty"`
	// Probability makes it happen by chance (drawn from the sandbox's seed); 0 means always.
	Probability float64 `json:"probability,omitempty"`
	// Status, Header and Body shape the answer of the kinds that have one.
	Status int         `json:"status,omitempty"`
	Header http.Header `json:"header,omitempty"`
	Body   string      `json:"body,omitempty"`
	// Delay is waited in real time; it ends early when the client goes or the server closes.
	Delay time.Duration `json:"delay,omitempty"`
	// Effect lets the vendor act before a replaced answer.
	Effect bool `json:"effect,omitempty"`
}

// Faults is the list of ordered faults. The first order that matches a request is applied, one a request.
type Faults struct {
	mu     sync.Mutex
	orders []*order
	fired  map[FaultKind]int
	rng    *rng
	random *randomFaults
}

type order struct {
	Fault
	seen int
	left int
}

type randomFaults struct {
	rng   *rng
	rate  float64
	kinds []FaultKind
}

func newFaults() *Faults {
	return &Faults{fired: map[FaultKind]int{}, rng: newRNG(0, "faults")}
}

// Add orders faults. Earlier orders go first.
func (f *Faults) Add(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range faults {
		left := fault.Times
		if left == 0 {
			left = 1
		}
		fault.Header = fault.Header.Clone()
		f.orders = append(f.orders, &order{Fault: fault, left: left})
	}
}

// Random harms a share of all requests (rate 0 to 1) with a kind drawn from kinds, by default those that a patient client
// survives. A rate of 0 turns it off.
func (f *Faults) Random(seed uint64, rate float64, kinds ...FaultKind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rate <= 0 {
		f.random = nil
		return
	}
	if len(kinds) == 0 {
		kinds = []FaultKind{FaultStatus, FaultBadGateway, FaultCutBefore, FaultCutAfter, FaultTruncated, FaultEmptyPage}
	}
	f.random = &randomFaults{rng: newRNG(seed, "random faults"), rate: rate, kinds: slices.Clone(kinds)}
}

// Clear drops every order and the random mode; what has fired stays counted.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders, f.random = nil, nil
}

// Fired is how often a kind has been applied.
func (f *Faults) Fired(kind FaultKind) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired[kind]
}

// Pending is the number of orders that have not run out, those without end included.
func (f *Faults) Pending() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.orders)
}

// take finds the fault for one request, counting every order that matches.
func (f *Faults) take(vendor, op string, cursor bool) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, o := range f.orders {
		if (o.Vendor != "" && o.Vendor != vendor) || (o.Op != "" && o.Op != op) || !applies(o.Kind, vendor, op, cursor) {
			continue
		}
		o.seen++
		if o.seen <= o.After || (o.Probability > 0 && !f.rng.chance(o.Probability)) {
			continue
		}
		hit := o.Fault
		if o.left > 0 {
			if o.left--; o.left == 0 {
				f.orders = slices.Delete(f.orders, i, i+1)
			}
		}
		f.fired[hit.Kind]++
		return &hit
	}
	if f.random == nil || !f.random.rng.chance(f.random.rate) {
		return nil
	}
	kind := pick(f.random.rng, f.random.kinds)
	if !applies(kind, vendor, op, cursor) {
		return nil
	}
	f.fired[kind]++
	hit := Fault{Kind: kind}
	if kind == FaultStatus {
		hit.Status = pick(f.random.rng, []int{http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusGatewayTimeout})
	}
	return &hit
}
