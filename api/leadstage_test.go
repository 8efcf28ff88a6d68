package api

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestLeadStage(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	stages := map[string]string{}
	for _, key := range []string{"qualified", "lost", "new_lead"} {
		var id string
		if err := w.db.Pool.QueryRow(t.Context(), "select stage_id::text from pipeline.stages where org_id = $1 and stage_key = $2", w.org, key).Scan(&id); err != nil {
			t.Fatal(err)
		}
		stages[key] = id
	}
	made := w.want(http.StatusCreated, "POST", "/v1/leads", `{"stageId": "`+stages["qualified"]+`"}`).Data
	if stage, _ := made.Attributes["stage"].(map[string]any); stage["id"] != stages["qualified"] {
		t.Errorf("made in stage %v", stage)
	}
	path := "/v1/leads/" + made.ID
	for _, key := range []string{"lost", "new_lead", "lost"} {
		got := w.want(http.StatusOK, "POST", path+"/stage", `{"stageId": "`+stages[key]+`"}`).Data.Attributes
		if stage, _ := got["stage"].(map[string]any); stage["stageKey"] != key {
			t.Errorf("stage %v, want %s", stage, key)
		}
	}
	for body, field := range map[string]string{`{}`: "stageId", `{"stageId": "` + uuid.NewString() + `"}`: "stageId", `{"stageId": 7}`: "stageId"} {
		if got := w.want(http.StatusUnprocessableEntity, "POST", path+"/stage", body); !cmp.Equal(got.fields(), []string{field}) {
			t.Errorf("%s: %v", body, got.Errors)
		}
	}
	w.want(http.StatusNotFound, "POST", "/v1/leads/"+uuid.NewString()+"/stage", `{"stageId": "`+stages["lost"]+`"}`)
	var line page
	w.get(path+"/timeline").decode(t, &line)
	var kinds []string
	for _, e := range line.Data {
		kinds = append(kinds, fmt.Sprint(e.Attributes["kind"]))
		if details, _ := e.Attributes["details"].(map[string]any); e.Attributes["kind"] == "stage_changed" && details["changedBy"] != "api" {
			t.Errorf("a stage set over the API: %v", details)
		}
	}
	slices.Sort(kinds)
	if want := []string{"lead_created", "stage_changed", "stage_changed", "stage_changed", "stage_changed"}; !cmp.Equal(kinds, want) {
		t.Errorf("timeline %v", kinds)
	}
}
