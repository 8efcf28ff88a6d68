package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody bounds what a simulated vendor reads of a request.
const maxBody = 1 << 20

// inbound is one request on its way through a simulated vendor.
type inbound struct {
	*http.Request
	body  []byte
	query url.Values
	// fault is what has been ordered for this request; nil most of the time.
	fault *Fault
	rec   Request
	box   *Sandbox
	// logged tells that rec is in the log.
	logged bool
}

// log keeps the request, once. It goes ahead of the answer, so that whoever has the answer finds it there.
func (in *inbound) log() {
	if !in.logged {
		in.box.requests.add(in.rec)
	}
	in.logged = true
}

// cut closes the connection without an answer.
func (in *inbound) cut(w http.ResponseWriter) {
	in.log()
	cut(w)
}

// violate records that this request broke the vendor's contract.
func (in *inbound) violate(text string) { in.box.requests.violation(in.rec.Vendor, in.rec.Op, text) }

// faulty says whether a fault of this kind is to be applied by the vendor itself.
func (in *inbound) faulty(kind FaultKind) bool { return in.fault != nil && in.fault.Kind == kind }

// reply is a vendor's answer before any fault of the transport.
type reply struct {
	status int
	header http.Header
	body   []byte
	rows   int
}

func jsonReply(status int, v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		// Only raw JSON handed in by a test can be at fault.
		return reply{status: http.StatusInternalServerError, body: []byte(err.Error())}
	}
	return reply{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body}
}

func htmlReply(status int, text string) reply {
	return reply{status: status, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, body: []byte(text)}
}

// action is what a vendor does for one route.
type action func(*inbound) reply

// serve wraps an action with what all routes share: the log, the check for secrets in the URL, latency and faults.
// opOf names the operation, which with DialedIn stands in the body.
func (s *Sandbox) serve(vendor string, opOf func(*inbound) string, act action) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := &inbound{Request: r, box: s, rec: Request{Vendor: vendor, Method: r.Method, Time: s.now()}}
		// The body is read whole first: only then does net/http notice a client that goes away.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			in.rec.Status = http.StatusBadRequest
			s.requests.add(in.rec)
			http.Error(w, "body unreadable or too large", http.StatusBadRequest)
			return
		}
		in.body = body
		in.query, err = url.ParseQuery(r.URL.RawQuery)
		in.rec.Op = opOf(in)
		if err != nil {
			in.violate("query cannot be parsed")
		}
		s.checkURL(in)
		in.rec.Cursor = in.query.Get("cursor")
		in.fault = s.faults.take(vendor, in.rec.Op, in.rec.Cursor != "")
		if in.fault != nil {
			in.rec.Fault = in.fault.Kind
		}
		s.answer(w, in, act)
		in.log()
		s.opt.Log.Debug("sandbox answered", "vendor", vendor, "op", in.rec.Op, "status", in.rec.Status, "rows", in.rec.Rows, "fault", string(in.rec.Fault))
	})
}

// checkURL looks for credentials where every proxy writes them into a log.
func (s *Sandbox) checkURL(in *inbound) {
	where := in.URL.Path + "?" + in.URL.RawQuery
	if plain, err := url.QueryUnescape(in.URL.RawQuery); err == nil {
		where += " " + plain
	}
	for _, secret := range s.secrets.hidden() {
		if strings.Contains(where, secret) {
			in.violate("credential in the url")
			return
		}
	}
}

// answer lets the vendor act and writes what it says, with the ordered fault in between. A client that is gone, or a
// server that closes, gets no answer at all: left alone, net/http would make up an empty 200.
func (s *Sandbox) answer(w http.ResponseWriter, in *inbound, act action) {
	if !wait(in, s.opt.Latency) {
		in.cut(w)
		return
	}
	if in.fault == nil {
		s.write(w, in, act(in))
		return
	}
	out, pause, answered := reply{}, in.fault.Delay, true
	switch in.fault.Kind {
	case FaultStatus, FaultBadGateway, FaultLoginPage, FaultErrorJSON, FaultEmpty:
		if in.fault.Effect {
			act(in)
			in.rec.Rows = 0
		}
		out = in.fault.replacement()
	case FaultCutBefore:
		answered = false
	case FaultCutAfter:
		act(in)
		answered = false
	case FaultStall:
		if !waitOrGone(in, pause) {
			in.cut(w)
			return
		}
		out, pause = act(in), 0
	case FaultHang:
		out = act(in)
		if !waitOrGone(in, pause) {
			in.cut(w)
			return
		}
		pause = 0
	case FaultDrip:
		out, pause = act(in), 0
	default:
		// The rest is written or applied later: by deliver, or by the vendor, which knows its cursors, items and leads.
		out = act(in)
	}
	if !wait(in, pause) || !answered {
		in.cut(w)
		return
	}
	s.deliver(w, in, out)
}

// deliver writes an answer the way the fault wants it.
func (s *Sandbox) deliver(w http.ResponseWriter, in *inbound, out reply) {
	switch in.fault.Kind {
	case FaultDrip:
		s.drip(w, in, out)
	case FaultTruncated:
		out.body = out.body[:len(out.body)/2]
		s.write(w, in, out)
	case FaultWrongLength:
		s.writeShort(w, in, out)
	case FaultGzipBomb:
		s.bomb(w, in, out)
	default:
		s.write(w, in, out)
	}
}

// wait lets d pass in real time and says whether the client is still there.
func wait(in *inbound, d time.Duration) bool {
	if d <= 0 {
		return in.Context().Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-in.Context().Done():
		return false
	}
}

// waitOrGone is wait, with 0 standing for "until the client goes or the server closes".
func waitOrGone(in *inbound, d time.Duration) bool {
	if d <= 0 {
		<-in.Context().Done()
		return false
	}
	return wait(in, d)
}
