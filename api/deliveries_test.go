package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestListDeliveries(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	lead := uuid.New()
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		now := w.db.Now()
		_, err := w.db.InsertDeliveries(t.Context(), tx, []store.NewDelivery{
			{Org: w.org, Account: "default", Destination: "dialedin", Operation: "insert_lead", Class: pipeline.ClassRings, LeadID: lead, Phone: "+13055550123", SourceTime: now, Dedupe: "1"},
			{Org: w.org, Account: "default", Destination: "convolo", Operation: "start_call", Class: pipeline.ClassRings, LeadID: lead, Phone: "+13055550123", SourceTime: now, Dedupe: "1"},
			{Org: uuid.New(), Account: "default", Destination: "convolo", Operation: "start_call", Class: pipeline.ClassRings, SourceTime: now, Dedupe: "1"},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		query, key string
		status     int
		total      int64
	}{
		{"", "Bearer " + w.key, http.StatusOK, 2},
		{"?destination=convolo&state=ready", "Bearer " + w.key, http.StatusOK, 1},
		{"?leadId=" + lead.String() + "&limit=1", "Bearer " + adminToken, http.StatusOK, 2},
		{"?state=confirmed", "Bearer " + w.key, http.StatusOK, 0},
		{"?state=flying", "Bearer " + w.key, http.StatusUnprocessableEntity, 0},
		{"?leadId=x", "Bearer " + w.key, http.StatusUnprocessableEntity, 0},
		{"", w.keyOf(w.org, store.LevelRead), http.StatusForbidden, 0},
		{"", "", http.StatusUnauthorized, 0},
	} {
		t.Run(tc.query, func(t *testing.T) {
			got := w.call(http.MethodGet, "/v1/deliveries"+tc.query, "", "Authorization", tc.key)
			if got.status != tc.status {
				t.Fatalf("status %d, want %d: %s", got.status, tc.status, got.body)
			}
			var page collection
			got.decode(t, &page)
			if got.status == http.StatusOK && page.Meta.Total != tc.total {
				t.Errorf("total: %d, want %d", page.Meta.Total, tc.total)
			}
			if strings.Contains(string(got.body), "3055550123") {
				t.Error("the list shows a phone")
			}
		})
	}
}
