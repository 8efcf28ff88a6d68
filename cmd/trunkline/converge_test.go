package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// pageFaults are all that the sandbox can do to a list and its items (contracts/ipscape.md section 11), with what the transport
// does to any answer.
var pageFaults = []sandbox.FaultKind{
	sandbox.FaultStatus, sandbox.FaultBadGateway, sandbox.FaultLoginPage, sandbox.FaultErrorJSON, sandbox.FaultEmpty, sandbox.FaultCutBefore,
	sandbox.FaultCutAfter, sandbox.FaultTruncated, sandbox.FaultWrongLength,
	sandbox.FaultRepeatCursor, sandbox.FaultCursorCycle, sandbox.FaultEmptyPage, sandbox.FaultForeignHost, sandbox.FaultExpiredCursor,
	sandbox.FaultHugePage, sandbox.FaultIgnoreFilters, sandbox.FaultReverse,
	sandbox.FaultUnknownType, sandbox.FaultUnknownField, sandbox.FaultWrapCodeString, sandbox.FaultOutcomesObject, sandbox.FaultOutcomesArray,
	sandbox.FaultOutcomesEmptyList, sandbox.FaultDataFieldsEmptyList,
	sandbox.FaultMissingID, sandbox.FaultWrongType, sandbox.FaultBareItem, sandbox.FaultNUL, sandbox.FaultLoneSurrogate, sandbox.FaultInvalidUTF8,
	sandbox.FaultHugeItem, sandbox.FaultDeepItem,
}

// oddActivities are calls that stay as they are: some that Postgres cannot hold, to be kept aside, and some that it can once
// their text is cleaned.
func oddActivities(at time.Time) (rows []sandbox.Activity, aside, kept int) {
	add := func(body string) {
		id := int64(8_000_001 + len(rows))
		body = strings.NewReplacer("ID", fmt.Sprint(id), "AT", at.UTC().Format(time.RFC3339)).Replace(body)
		rows = append(rows, sandbox.Activity{ID: id, Created: at, Raw: json.RawMessage(body)})
	}
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	for _, body := range []string{
		`{"type":"call.inbound","data":{"activityId":ID,"x":` + deep + `,"timestamps":{"created":"AT"}}}`,
		`{"type":"call.inbound","data":{"activityId":ID,"x":1e400000,"timestamps":{"created":"AT"}}}`,
		`{"type":"call.inbound","data":{"activityId":-ID,"timestamps":{"created":"AT"}}}`,
		`{"type":"call.inbound","data":"activity ID"}`,
		`"ID"`,
	} {
		add(body)
	}
	aside = len(rows)
	for _, body := range []string{
		`{"type":"call.in` + "\xff\xc3(" + `bound","data":{"activityId":ID,"source":"\u0000+61\ud800400","timestamps":{"created":"AT"}}}`,
		`{"type":"fax.sent","data":{"activityId":"ID","wrapCode":"4","durations":[],"survey":[],"timestamps":{"created":"AT"},"transcript":"` + strings.Repeat("blah ", 1<<20) + `"}}`,
		`{"type":null,"data":{"activityId":ID,"timestamps":{"created":"AT"},"sentiment":{"v":0.75}}}`,
	} {
		add(body)
	}
	return rows, aside, len(rows) - aside
}

// checksum is of all columns of a stream's table but those that say when we looked and whose it is.
func (r *rig) checksum(stream string) string {
	r.Helper()
	return one[string](r, `
		select count(*) || ' rows ' || coalesce(md5(string_agg(md5((to_jsonb(t) - 'org_id' - 'observed_at' - 'changed_at')::text), '' order by md5((to_jsonb(t) - 'org_id' - 'observed_at' - 'changed_at')::text))), '-')
		from ipscape.`+stream+` t`)
}

// records is the same of what the source last said.
func (r *rig) records(stream string) string {
	r.Helper()
	return one[string](r, `
		select count(*) || ' records ' || coalesce(md5(string_agg(md5(object_id || payload::text || coalesce(source_time::text, '')), '' order by object_id)), '-')
		from ops.records where source = 'ipscape' and stream = $1`, stream)
}

// TestConverges reads a vendor that does everything wrong at random. Once it behaves again, what we hold is its truth: the same
// as a daemon holds that has never seen a fault, by number and by a checksum of all columns.
func TestConverges(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 41, Activities: 300, Leads: 120, Posts: -1, PageSize: 12}, map[string]string{
		"TRUNKLINE_PUSH": "", "IPSCAPE_TIMEOUT": "8s", "IPSCAPE_LOOKBACK": "96h", "IPSCAPE_SCHEDULE_LOOKBACK": "@every 2s", "IPSCAPE_SCHEDULE_RESCAN": "off",
		"IPSCAPE_SCHEDULE_DIAL_ATTEMPTS": "@every 1s", "IPSCAPE_SCHEDULE_LEAD_LISTS": "@every 1s", "IPSCAPE_SCHEDULE_CAMPAIGNS": "@every 1s",
		"IPSCAPE_SCHEDULE_USERS": "@every 1s", "IPSCAPE_SCHEDULE_SWEEP": "@every 2s", "IPSCAPE_MISSING_MAX": "1",
	})
	v := r.box.IPSCAPE()
	odd, aside, kept := oddActivities(time.Now().Add(-90 * time.Minute).Truncate(time.Second))
	v.AddActivities(odd...)
	faults := r.box.Faults()
	faults.Add(
		sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Kind: sandbox.FaultStall, After: 20, Delay: time.Second},
		sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Kind: sandbox.FaultHang, After: 30},
		sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Kind: sandbox.FaultDrip, Times: 2, After: 10, Delay: time.Microsecond},
		sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Kind: sandbox.FaultStatus, Times: 3, After: 15, Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
	)
	faults.Random(41, 0.35, pageFaults...)
	d := r.serve(nil)
	// Meanwhile a lead changes without a new upload time, and calls are told in two parts.
	changed := v.Leads()[7]
	changed.Modified, changed.LastStatusCode, changed.LastStatusDescription = time.Now().Truncate(time.Second), 77, "Changed late"
	v.AddLeads(changed)
	late := v.Activities()[20]
	late.ID, late.LateUntil = 0, time.Now().Add(5*time.Second)
	late.Created = time.Now().Add(-2 * time.Minute).Truncate(time.Second)
	v.AddActivities(late)

	harmed := eventually(t, 4*time.Minute, func() string {
		var never []sandbox.FaultKind
		for _, kind := range append(slices.Clone(pageFaults), sandbox.FaultStall, sandbox.FaultHang, sandbox.FaultDrip) {
			if faults.Fired(kind) == 0 {
				never = append(never, kind)
			}
		}
		if len(never) > 0 {
			return fmt.Sprintf("these faults to happen: %v", never)
		}
		return ""
	})
	faults.Clear()
	cleared := time.Now()
	failed := one[int](r, `select count(*) from ops.walks where state = 'failed'`)
	if failed == 0 {
		t.Error("no walk failed: the faults did no harm, and the test shows nothing")
	}
	streams := r.wholeAgain(cleared)
	t.Logf("every fault within %s, %d requests, %d walks failed; all read again %s after the last fault",
		harmed.Round(time.Second), len(r.box.Requests()), failed, time.Since(cleared).Round(time.Second))

	// The reference reads the same vendor now that it behaves, into a database of its own.
	twin := &rig{TB: t, box: r.box, server: r.server, env: r.env}
	twin.fresh()
	twin.serve(nil)
	twin.wholeAgain(time.Now())

	truth := r.box.Truth().IPSCAPE
	for _, stream := range streams {
		want := truth[stream]
		if stream == "activities" {
			want -= aside
		}
		for _, side := range []*rig{r, twin} {
			if n := one[int](side, `select count(*) from ipscape.`+stream); n != want {
				t.Errorf("%s: %d rows, want %d", stream, n, want)
			}
		}
		if got, want := r.checksum(stream), twin.checksum(stream); got != want {
			t.Errorf("%s: after the faults %s, without any %s", stream, got, want)
		}
		if got, want := r.records(stream), twin.records(stream); got != want {
			t.Errorf("%s: after the faults %s, without any %s", stream, got, want)
		}
	}
	r.checkOdd(odd, aside, kept)
	twin.checkOdd(odd, aside, kept)
	if n := one[int](twin, `select count(*) from ops.quarantine`); n != aside {
		t.Errorf("%d items in quarantine without a fault, want %d", n, aside)
	}
	// What the faults spoiled is settled, but for what could not be told from anything else: it names no object.
	if n := one[int](r, `select count(*) from ops.quarantine q where state = 'open' and object_id <> '' and exists (
		select 1 from ops.records r where r.source = q.source and r.stream = q.stream and r.object_id = q.object_id)`); n != 0 {
		t.Errorf("%d objects were read well and still lie in quarantine", n)
	}
	if status := one[string](r, `select last_status_description from ipscape.leads where lead_id = $1`, changed.ID); status != "Changed late" {
		t.Errorf("the lead that changed has %q", status)
	}
	if d.logged("handler panicked") != nil {
		t.Error("something panicked")
	}
	r.lawful()
}

// wholeAgain waits until every stream has read everything once more since a time, and returns the streams.
func (r *rig) wholeAgain(since time.Time) (streams []string) {
	r.Helper()
	eventually(r, 2*time.Minute, func() string {
		streams = list[string](r, `select stream from ops.streams where source = 'ipscape' order by 1`)
		for _, stream := range streams {
			if one[int](r, `
				select count(*) from ops.walks
				where stream = $1 and (kind = 'lookback' or time_window is null and kind <> 'sweep') and state = 'done' and started_at > $2`, stream, since) == 0 {
				return "another look at " + stream
			}
			if one[int](r, `
				select count(*) from analytics.freshness f join ops.streams s using (stream)
				where stream = $1 and (s.capability = 'snapshot' or f.covered_through > $2) and f.holes = 0 and f.last_success_at > $2`, stream, since) == 0 {
				return stream + " to be covered"
			}
		}
		if n := one[int](r, `select count(*) from ops.reconcile_queue`); n > 0 || len(streams) < 2 {
			return fmt.Sprintf("%d records to be folded, %d streams to be known", n, len(streams))
		}
		return ""
	})
	return streams
}

// checkOdd looks for the items that no fault spoiled: they are odd by themselves.
func (r *rig) checkOdd(odd []sandbox.Activity, aside, kept int) {
	r.Helper()
	first, last := odd[aside].ID, odd[len(odd)-1].ID
	if n := one[int](r, `select count(*) from ipscape.activities where activity_id between $1 and $2`, first, last); n != kept {
		r.Errorf("%d of %d odd items landed", n, kept)
	}
	if text := one[string](r, `select type || ' ' || source from ipscape.activities where activity_id = $1`, first); text != "call.in\ufffd\ufffd(bound \ufffd+61\ufffd400" {
		r.Errorf("cleaned text is %q", text)
	}
	if n := one[int](r, `select length(payload->'data'->>'transcript') from ops.records where stream = 'activities' and object_id = $1`, fmt.Sprint(first+1)); n != 5<<20 {
		r.Errorf("of five MB %d bytes landed", n)
	}
	for _, a := range odd[:aside] {
		if n := one[int](r, `select count(*) from ops.quarantine where stream = 'activities' and state = 'open' and body = $1`, []byte(a.Raw)); n != 1 {
			r.Errorf("item %d is in quarantine %d times", a.ID, n)
		}
	}
}
