package sandbox_test

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/sandbox"
)

func TestConvosoPostsItsPlan(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 21, Posts: 90})
	receiver := newReceiver(t, func(n int) int {
		if n%10 == 3 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	if err := r.Convoso().Post(t.Context(), r.client, receiver.URL, 30); err != nil {
		t.Fatal(err)
	}
	if got := len(r.Convoso().Acked()); got != 30 || r.Convoso().Remaining() != 60 {
		t.Errorf("%d acknowledged, %d remain", got, r.Convoso().Remaining())
	}
	r.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorConvoso, Kind: sandbox.FaultCutAfter}, sandbox.Fault{Vendor: sandbox.VendorConvoso, Kind: sandbox.FaultCutBefore})
	if err := r.Convoso().PostParallel(t.Context(), r.client, receiver.URL, 4); err != nil {
		t.Fatal(err)
	}
	plan := r.Convoso().Posts()
	if got := len(r.Convoso().Acked()); got != 90 || r.Convoso().Tries() <= 90 {
		t.Errorf("%d acknowledged in %d tries", got, r.Convoso().Tries())
	}
	if diff := cmp.Diff(r.Truth().ConvosoPlan, r.Truth().Convoso); diff != "" {
		t.Errorf("acknowledged is not the plan:\n%s", diff)
	}
	if len(receiver.got()) <= 90 {
		t.Error("nothing was sent twice")
	}
	for i, path := range receiver.paths {
		if !strings.HasPrefix(path, "/v1/dialer/convoso/"+r.env["CONVOSO_ORG_TOKEN"]) {
			t.Errorf("path %s", path)
		}
		if strings.HasPrefix(receiver.bodies[i], "{") != (receiver.kinds[i] == "application/json") {
			t.Errorf("body %.20s as %s", receiver.bodies[i], receiver.kinds[i])
		}
	}
	for _, p := range plan {
		if p.DuplicateOf >= 0 && (p.DuplicateOf >= p.Seq || !bytes.Equal(plan[p.DuplicateOf].Body, p.Body)) {
			t.Errorf("post %d repeats %d", p.Seq, p.DuplicateOf)
		}
		if p.ContentType == "application/json" {
			decode(t, p.Body)
		} else if _, err := url.ParseQuery(string(p.Body)); err != nil {
			t.Error(err)
		}
	}
}

func TestConvosoPostFailures(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Posts: 3})
	refusing := newReceiver(t, func(int) int { return http.StatusForbidden })
	err := r.Convoso().Post(t.Context(), r.client, refusing.URL)
	if err == nil || len(r.Convoso().Acked()) != 0 || len(refusing.got()) != 3 {
		t.Errorf("refused: %v after %d posts", err, len(refusing.got()))
	}
	if err != nil && strings.Contains(err.Error(), r.env["CONVOSO_ORG_TOKEN"]) {
		t.Error("the error shows the token")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	down := newReceiver(t, func(int) int { return http.StatusServiceUnavailable })
	post := sandbox.NewPost(sandbox.EventDNC, map[string]any{"lead_id": "1", "status": "DNC"})
	if err := r.Convoso().PostOne(ctx, r.client, down.URL, post); err == nil || strings.Contains(err.Error(), r.env["CONVOSO_ORG_TOKEN"]) {
		t.Errorf("error %v", err)
	}
}
