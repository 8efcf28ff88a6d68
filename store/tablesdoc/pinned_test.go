package tablesdoc

import (
	"slices"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/store/storetest"
)

// pinned are the tables and columns that others query (interface.md section 5). Columns are added, never renamed or dropped.
const pinned = `
ipscape.activities: org_id account_id activity_id type lead_id attempt_id parent_activity_id root_activity_id campaign_id campaign_name agent_id
  agent_full_name source destination status_id status_name wrap_code wrap_description created_at answered_at hung_up_at wrapped_up_at
  recording_media_id recording_duration_s recording_deleted survey voicemails quality_score observed_at changed_at
ipscape.leads: org_id account_id lead_id campaign_id list_id customer_key timezone completed agent_id last_status_code last_status_description
  phones data_fields total_attempts created_at modified_at next_attempt_at missing_since observed_at changed_at
ipscape.lead_lists: org_id account_id list_id observed_at changed_at
ipscape.campaigns: org_id account_id campaign_id observed_at changed_at
ipscape.users: org_id account_id user_id observed_at changed_at
ipscape.dial_attempts: org_id account_id attempt_id activity_id lead_id dialled_at observed_at changed_at
ipscape.campaign_stats: org_id account_id
convoso.events: org_id account_id event_id inbox_id type call_log_id lead_id phone status observed_at
convolo.calls: org_id account_id call_id delivery_id status observed_at changed_at
dialedin.leads: org_id account_id client_id lead_id delivery_id state observed_at changed_at
ops.streams: source stream covered last_success_at last_error
ops.walks: id source stream kind time_window state pages rows started_at finished_at error
ops.backfills: id state
ops.records: source stream object_id payload observed_at source_time
ops.record_history: source stream object_id payload observed_at source_time
ops.inbox: id source state received_at content_type body duplicate_of
ops.deliveries: id destination operation lead_id state reason attempts created_at sending_at settled_at external_id error
ops.delivery_attempts: delivery_id attempt
ops.quarantine: id source stream object_id reason error body seen first_seen_at last_seen_at state
pipeline.leads: lead_id business_name contact_first_name
pipeline.lead_keys: kind value lead_id rule evidence
pipeline.calls: source external_call_id lead_id
pipeline.call_events: source external_call_id event_type occurred_at
pipeline.agents: agent_id name email
pipeline.presence: agent_id status
pipeline.do_not_call: phone reason source since lifted_at
pipeline.stages: stage_key label color semantic_slot position
analytics.leads: org_id lead_id business_name contact_name email phone source priority stage_key is_do_not_call created_at first_pushed_at
  first_dialled_at first_answered_at speed_to_lead_s last_contacted_at attempts
analytics.calls: org_id source external_call_id external_call_id_given lead_id agent_id agent_name direction started_at answered_at ended_at talk_s
  disposition disposition_raw recording_url campaign_name
analytics.deliveries: id destination operation lead_id state reason attempts created_at sending_at settled_at external_id error
analytics.do_not_call: org_id phone reason source since
analytics.agent_days: org_id agent_id agent_name day calls contacts talk_s dispositions
analytics.dispositions_daily: org_id day source disposition calls
analytics.freshness: source stream covered_through lag_s holes last_success_at last_error
analytics.lead_field_sources: lead_id field value source source_time
analytics.match_links: lead_id kind value rule evidence linked_at`

func TestPinnedColumnsAreThere(t *testing.T) {
	t.Parallel()
	tables, err := readTables(t.Context(), storetest.DB(t))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for line := range strings.SplitSeq(strings.ReplaceAll(strings.TrimSpace(pinned), "\n  ", " "), "\n") {
		name, columns, _ := strings.Cut(line, ": ")
		at := slices.IndexFunc(tables, func(t table) bool { return t.full() == name })
		if at < 0 {
			t.Errorf("there is no %s", name)
			continue
		}
		for want := range strings.FieldsSeq(columns) {
			checked++
			if !slices.ContainsFunc(tables[at].columns, func(c column) bool { return c.name == want }) {
				t.Errorf("%s has no column %s", name, want)
			}
		}
	}
	if checked < 200 {
		t.Errorf("%d columns were looked for: too few to be all", checked)
	}
}
