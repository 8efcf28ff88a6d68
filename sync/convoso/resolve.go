package convoso

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// reading is a post's content sorted by meaning.
type reading struct {
	// fields holds the chosen value of each canonical key, trimmed and never empty.
	fields map[string]string
	// unmapped holds every other key as it was sent.
	unmapped map[string]string
}

// candidate is the place of a pair together with what its key stands for.
type candidate struct {
	meaning
	at int
}

// resolve chooses the value of each canonical key: from the body before the URL, by the order of section 5, the first that
// says something. The order in which different keys were sent does not matter.
func resolve(pairs []pair, x *index) reading {
	r := reading{fields: make(map[string]string, len(pairs)), unmapped: map[string]string{}}
	known := make([]candidate, 0, len(pairs))
	for i := range pairs {
		if m, ok := x.byKey[pairs[i].normal]; ok {
			known = append(known, candidate{m, i})
		}
	}
	slices.SortFunc(known, func(a, b candidate) int {
		p, q := &pairs[a.at], &pairs[b.at]
		return cmp.Or(compareBool(p.query, q.query), a.rank-b.rank, -strings.Compare(p.key, q.key), a.at-b.at)
	})
	used := make([]bool, len(pairs))
	taken := make(map[string]bool, len(pairs))
	for _, c := range known {
		if _, ok := r.fields[c.canonical]; ok {
			continue
		}
		p := &pairs[c.at]
		value, ok := meaningful(c.canonical, p.value)
		if !ok {
			continue
		}
		r.fields[c.canonical] = value
		// A structure that was reduced to its gist stays readable beside it.
		if strings.TrimSpace(p.value) == value {
			used[c.at], taken[p.key] = true, true
		}
	}
	used, taken = r.resolveID(pairs, x, used, taken)
	for i, p := range pairs {
		if used[i] || taken[p.key] {
			continue
		}
		if r.unmapped[p.key] == "" {
			r.unmapped[p.key] = p.value
		}
	}
	return r
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// resolveID decides what a key "id" is: in lead records the lead's id, in records of the call log the call's (section 5).
func (r *reading) resolveID(pairs []pair, x *index, used []bool, taken map[string]bool) ([]bool, map[string]bool) {
	if _, configured := x.of("id"); configured {
		return used, taken
	}
	at, id := -1, ""
	for i, p := range pairs {
		if p.normal != "id" {
			continue
		}
		if v := strings.TrimSpace(p.value); tellsID(v) && (at < 0 || (pairs[at].query && !p.query)) {
			at, id = i, v
		}
	}
	if at < 0 {
		return used, taken
	}
	call, lead := r.fields[keyCall], r.fields[keyLead]
	switch {
	case id == call, id == lead:
		return used, taken
	case call == "" && (callLogShaped(pairs) || (lead != "" && r.tellsOfCall())):
		r.fields[keyCall] = boundedID(id)
	case lead == "" && len(id) <= pipeline.KeyMax:
		r.fields[keyLead] = id
	default:
		return used, taken
	}
	if len(id) <= pipeline.KeyMax {
		used[at], taken[pairs[at].key] = true, true
	}
	return used, taken
}

// callLogShaped tells whether the keys are those of the Call Log API, by names that only it uses.
func callLogShaped(pairs []pair) bool {
	return slices.ContainsFunc(pairs, func(p pair) bool {
		switch p.normal {
		case "calllength", "numberdialed", "calleriddisplayed":
			return p.value != ""
		case "recording":
			return strings.HasPrefix(strings.TrimSpace(p.value), "[")
		}
		return false
	})
}

// tellsOfCall tells whether there is a value that only a call has.
func (r *reading) tellsOfCall() bool {
	for _, key := range []string{keyLength, keyDirection, keyTermReason, keyRecording, keyComment} {
		if r.fields[key] != "" {
			return true
		}
	}
	return r.hasCallTime()
}

func (r *reading) hasCallTime() bool {
	for _, key := range occurredKeys {
		if r.fields[key] != "" {
			return true
		}
	}
	return false
}

// meaningful returns the value as it is kept under a canonical key, and whether it says anything there. Empty says nothing.
func meaningful(canonical, value string) (string, bool) {
	value = strings.TrimSpace(value)
	switch canonical {
	case keyCall:
		// Ids that our own API made out of Convoso's carry a prefix.
		value = strings.TrimPrefix(value, "convoso-call-")
		return boundedID(value), tellsID(value)
	case keyLead:
		return value, tellsID(value) && len(value) <= pipeline.KeyMax
	case keyStatus, keyAgentID:
		value = pipeline.CutCode(value)
	case keyRemote:
		value = strings.ToLower(value)
		return value, uuidShape.MatchString(value)
	case keyRecording:
		value = recordingOf(value)
	case keyCallDate, keyOccurredAt, keyCallEndTime, keyCallStartTime, keyDispositionTime, keyStartedAt, keyEndedAt, keyTimestamp,
		keyEventTime, keyModifiedAt, keyCreatedAt:
		return value, !zeroDate(value)
	}
	return value, value != ""
}

// boundedID returns an id as it is, or a hash of one too long for a key: a call must stay told apart from others.
func boundedID(id string) string {
	if len(id) <= pipeline.KeyMax {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// tellsID tells whether text is an id: all calls without a lead must not become calls of a lead "0".
func tellsID(text string) bool {
	return strings.Trim(text, "0 ") != "" && !strings.EqualFold(text, "null")
}
