package convoso

import "strings"

// Canonical keys: Convoso's own internal names where it has one (section 2).
const (
	keyCall          = "call_log_id"
	keyLead          = "lead_id"
	keyRemote        = "remote_id"
	keyPhone         = "phone_number"
	keyPhoneCode     = "phone_code"
	keyStatus        = "status"
	keyStatusName    = "status_name"
	keyAgentID       = "user_id"
	keyAgentEmail    = "agent_email"
	keyAgentName     = "agent_full_name"
	keyLength        = "length_in_sec"
	keyDirection     = "call_type"
	keyTermReason    = "term_reason"
	keyRecording     = "recording"
	keyComment       = "agent_comment"
	keyNotes         = "notes"
	keyCampaign      = "campaign_name"
	keyCampaignID    = "campaign_id"
	keyListID        = "list_id"
	keyListName      = "list_name"
	keyQueueID       = "queue_id"
	keyQueueName     = "queue_name"
	keyCallerID      = "caller_id"
	keyInboundNumber = "inbound_number"
	keyDNC           = "dnc"

	keyCallDate        = "call_date"
	keyOccurredAt      = "occurred_at"
	keyCallEndTime     = "call_end_time"
	keyCallStartTime   = "call_start_time"
	keyDispositionTime = "disposition_time"
	keyStartedAt       = "started_at"
	keyEndedAt         = "ended_at"
	keyTimestamp       = "timestamp"
	keyEventTime       = "event_time"
	keyModifiedAt      = "modified_at"
	keyCreatedAt       = "created_at"

	keyFirstName      = "first_name"
	keyLastName       = "last_name"
	keyEmail          = "email"
	keyBusiness       = "business_name"
	keyStdCompany     = "std_company_name"
	keyDBA            = "dba"
	keyIndustry       = "industry"
	keyMonthlyRevenue = "monthly_revenue"
	keyAnnualRevenue  = "annual_revenue"
	keyCity           = "city"
	keyState          = "state"
	keyPostalCode     = "postal_code"
)

// Keys that a payload has beside the canonical ones.
const (
	keyEvent     = "event"
	keyCallState = "event_state"
	keyReason    = "dnc_reason"
	keyUnmapped  = "unmapped"
)

// aliases is section 5, each line a canonical key and the others for the same thing, the preferred first. Dates stay apart
// here: a call's end must not be taken for its start.
var aliases = [...][]string{
	{keyCall, "call_id", "external_call_id", "uniqueid", "voip_call_id", "log_id"},
	{keyLead, "convoso_lead_id", "voip_customer_id"},
	{keyRemote, "lendworks_lead_id", "lw_lead_id", keyRemote, "external_id"},
	{keyPhone, "phone", "primary_phone", "lead_phone", "customer_phone", "phone_number_call", "number_dialed"},
	{keyPhoneCode, "country_code"},
	{keyStatus, "disposition", "disposition_code", "call_status", "lead_status"},
	{keyStatusName, "disposition_name", "call_result"},
	{keyAgentID, "agent_id"},
	{keyAgentEmail, "user_email"},
	{keyAgentName, "agent_name", "agent", "user", "user_name"},
	{keyLength, "call_length", "duration", "duration_sec", "duration_seconds", "talk_time", "talk_seconds"},
	{keyDirection, "direction"},
	{keyTermReason, "termination_reason", "term_reason_id"},
	{keyRecording, "recording_url", "recording_link", "public_url", "src"},
	{keyComment, "comments", "comment", "call_notes", "note"},
	{keyNotes},
	{keyCampaign, "campaign"},
	{keyCampaignID},
	{keyListID},
	{keyListName},
	{keyQueueID},
	{keyQueueName, "queue"},
	{keyCallerID, "caller_id_displayed"},
	{keyInboundNumber},
	{keyDNC, "is_dnc", "do_not_call"},
	{keyCallDate},
	{keyOccurredAt},
	{keyCallEndTime},
	{keyCallStartTime},
	{keyDispositionTime},
	{keyStartedAt},
	{keyEndedAt},
	{keyTimestamp},
	{keyEventTime},
	{keyModifiedAt, "updated_at"},
	{keyCreatedAt},
	{keyFirstName},
	{keyLastName},
	{keyEmail},
	{keyBusiness, "company"},
	{keyStdCompany},
	{keyDBA},
	{keyIndustry},
	{keyMonthlyRevenue},
	{keyAnnualRevenue},
	{keyCity},
	{keyState},
	{keyPostalCode},
}

// occurredKeys are the keys of "occurred at", the preferred first.
var occurredKeys = [...]string{
	keyCallDate, keyOccurredAt, keyCallEndTime, keyCallStartTime, keyDispositionTime, keyStartedAt, keyEndedAt, keyTimestamp, keyEventTime,
}

// leadFields are the canonical keys that tell something of a lead (section 4 rule 7).
var leadFields = [...]string{
	keyFirstName, keyLastName, keyEmail, keyBusiness, keyStdCompany, keyDBA, keyIndustry, keyMonthlyRevenue, keyAnnualRevenue,
	keyCity, keyState, keyPostalCode, keyStatus, keyNotes, keyRemote, keyCreatedAt, keyModifiedAt,
}

// otherLeadFields are those of section 2 that no canonical key stands for, in normal form.
var otherLeadFields = [...]string{
	"sourceid", "ownerid", "calledcount", "calledcountinbound", "lastcalled", "lastviewed", "lastreachedat", "finalreachedat",
	"createdby", "lastmodifiedby", "localegmt", "carriername", "title", "gender", "dateofbirth", "altphone1", "altphone2",
	"address1", "address2", "province", "country", "startdate", "stdconsumernumber", "stdaccountnumber",
}

// normal is the form in which keys compare: without case, underscores, hyphens and spaces.
func normal(key string) string {
	plain := true
	for i := range len(key) {
		if b := key[i]; b == '_' || b == '-' || b == ' ' || (b >= 'A' && b <= 'Z') || b >= 0x80 {
			plain = false
			break
		}
	}
	if plain {
		return key
	}
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(key))
}

// meaning is what a key stands for. A lower rank is preferred.
type meaning struct {
	canonical string
	rank      int
}

// index finds the meaning of keys by their normal form.
type index struct {
	byKey map[string]meaning
	next  map[string]int
}

func newIndex() *index {
	x := &index{byKey: make(map[string]meaning, 128), next: make(map[string]int, len(aliases))}
	for _, line := range aliases {
		canonical := line[0]
		others := line[1:]
		// remote_id is not the preferred key of its own line.
		if canonical != keyRemote {
			x.add(canonical, canonical)
		}
		for _, key := range others {
			x.add(canonical, key)
		}
	}
	return x
}

func (x *index) add(canonical, key string) {
	n := normal(key)
	if _, ok := x.byKey[n]; ok {
		return
	}
	x.byKey[n] = meaning{canonical, x.next[canonical]}
	x.next[canonical]++
}

func (x *index) of(key string) (meaning, bool) {
	m, ok := x.byKey[normal(key)]
	return m, ok
}
