package sandbox

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"strconv"
	"time"
)

const (
	dripBytes    = 16
	dripDelay    = 50 * time.Millisecond
	missingBytes = 512
	// bombMember blanks are packed once and sent bombMembers times: gzip members may follow one another.
	bombMember  = 1 << 20
	bombMembers = 1 << 10
)

const (
	badGatewayPage = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center></body>\r\n</html>\r\n"
	loginPage      = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form method=\"post\" action=\"/login\"><input name=\"user\"><input name=\"password\" type=\"password\"></form></body></html>"
)

// applies says whether a kind can happen to a request at all; otherwise the order waits for one where it can.
func applies(kind FaultKind, vendor, op string, cursor bool) bool {
	if vendor == VendorConvoso && op != OpCallLog {
		// Convoso posts, its call log aside: all that can go wrong is that a post does not leave, or leaves twice.
		return kind == FaultCutBefore || kind == FaultCutAfter
	}
	switch kind {
	case FaultRepeatCursor, FaultCursorCycle, FaultExpiredCursor:
		return vendor == VendorIPSCAPE && cursor && slices.Contains(cursorLists, op)
	case FaultEmptyPage, FaultForeignHost, FaultHugePage, FaultIgnoreFilters, FaultReverse:
		return vendor == VendorIPSCAPE && slices.Contains(cursorLists, op)
	case FaultUnknownType, FaultWrapCodeString:
		return vendor == VendorIPSCAPE && (op == OpListActivities || op == OpGetActivity)
	case FaultOutcomesObject, FaultOutcomesArray, FaultOutcomesEmptyList, FaultDataFieldsEmptyList:
		return vendor == VendorIPSCAPE && (op == OpListLeads || op == OpGetLead)
	case FaultUnknownField, FaultMissingID, FaultWrongType, FaultBareItem, FaultNUL, FaultLoneSurrogate, FaultInvalidUTF8, FaultHugeItem, FaultDeepItem:
		return vendor == VendorIPSCAPE && (slices.Contains(cursorLists, op) || slices.Contains(singleReads, op))
	case FaultFrontTimeout, FaultLyingOK:
		return vendor == VendorDialedIn
	case FaultStatus, FaultBadGateway, FaultLoginPage, FaultErrorJSON, FaultEmpty, FaultCutBefore, FaultCutAfter, FaultStall,
		FaultHang, FaultDrip, FaultTruncated, FaultWrongLength, FaultGzipBomb:
		return true
	}
	return false
}

// replacement is the answer of the kinds that replace the vendor's own.
func (f *Fault) replacement() reply {
	var out reply
	switch f.Kind {
	case FaultBadGateway:
		out = htmlReply(http.StatusBadGateway, badGatewayPage)
	case FaultLoginPage:
		out = htmlReply(http.StatusOK, loginPage)
	case FaultErrorJSON:
		out = jsonReply(http.StatusOK, map[string]any{"resultCode": "error", "resultMessage": "internal failure", "success": false})
	case FaultEmpty:
		out = reply{status: http.StatusOK, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}
	default:
		out = jsonReply(http.StatusInternalServerError, map[string]any{"error": "ordered fault"})
	}
	if f.Status != 0 {
		out.status = f.Status
	}
	if f.Body != "" {
		out.body = []byte(f.Body)
	}
	for name, values := range f.Header {
		out.header[http.CanonicalHeaderKey(name)] = values
	}
	return out
}

func (s *Sandbox) head(w http.ResponseWriter, in *inbound, out reply) {
	for name, values := range out.header {
		w.Header()[name] = values
	}
	// The vendor's own clock is the injected one, also where net/http would put the machine's.
	w.Header().Set("Date", s.now().Format(http.TimeFormat))
	in.rec.Status, in.rec.Rows = out.status, out.rows
	in.log()
}

func (s *Sandbox) write(w http.ResponseWriter, in *inbound, out reply) {
	s.head(w, in, out)
	w.Header().Set("Content-Length", strconv.Itoa(len(out.body)))
	w.WriteHeader(out.status)
	_, _ = w.Write(out.body)
}

// writeShort promises more than it sends; net/http closes the connection for it.
func (s *Sandbox) writeShort(w http.ResponseWriter, in *inbound, out reply) {
	s.head(w, in, out)
	w.Header().Set("Content-Length", strconv.Itoa(len(out.body)+missingBytes))
	w.WriteHeader(out.status)
	_, _ = w.Write(out.body)
}

func (s *Sandbox) drip(w http.ResponseWriter, in *inbound, out reply) {
	delay := in.fault.Delay
	if delay <= 0 {
		delay = dripDelay
	}
	s.head(w, in, out)
	w.Header().Set("Content-Length", strconv.Itoa(len(out.body)))
	w.WriteHeader(out.status)
	ctl := http.NewResponseController(w)
	for piece := range slices.Chunk(out.body, dripBytes) {
		if _, err := w.Write(piece); err != nil || ctl.Flush() != nil || !wait(in, delay) {
			return
		}
	}
}

func (s *Sandbox) bomb(w http.ResponseWriter, in *inbound, out reply) {
	var member bytes.Buffer
	zip := gzip.NewWriter(&member)
	_, _ = zip.Write(bytes.Repeat([]byte(" "), bombMember))
	_ = zip.Close()
	s.head(w, in, out)
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(out.status)
	for range bombMembers {
		if _, err := w.Write(member.Bytes()); err != nil || in.Context().Err() != nil {
			return
		}
	}
}

// cut closes the connection without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		// HTTP/2 and recorders cannot be cut; an answer nobody can use is the nearest thing.
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_ = conn.Close()
}
