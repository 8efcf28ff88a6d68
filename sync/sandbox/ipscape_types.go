package sandbox

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Types of activities that ipSCAPE documents.
const (
	TypeInbound  = "call.inbound"
	TypeOutbound = "call.outbound"
)

// Activity is one ipSCAPE activity (contract section 6.1). Ids, codes, texts and times that are zero are sent as null.
type Activity struct {
	ID int64
	// Type defaults to TypeOutbound; fields the type does not have are not sent.
	Type            string
	ParentID        int64
	RootID          int64 // defaults to ID
	StatusID        int
	StatusName      string
	Source          string
	Destination     string
	CampaignID      int64
	CampaignName    string
	InteractionID   int64
	AgentID         int64
	AgentName       string
	WrapCode        int
	WrapDescription string
	RecordingStatus string
	Recording       *Recording
	Voicemails      []Recording
	Survey          *Survey
	QualityScore    int            // inbound only
	Durations       map[string]int // seconds
	AttemptID       int64          // this and the next five: outbound only
	DialStatusID    int
	DialStatusName  string
	PhoneIndex      int
	Phone           string
	LeadID          int64
	Created         time.Time // defaults to Now
	JoinQueue       time.Time // inbound only
	Answered        time.Time
	HangUp          time.Time
	WrapUp          time.Time
	LateUntil       time.Time       // before it, wrap-up, recording, voicemail, survey and quality score are withheld
	Raw             json.RawMessage // sent in place of the whole item when set
	Extra           map[string]any  // further fields of the item's data
}

// Recording is a recording or a voicemail. The last three say who deleted it, which only "get media" tells.
type Recording struct {
	MediaID        int64
	Duration       int // seconds
	Deleted        bool
	DeletedAt      time.Time
	DeletedBy      int64
	DeletionReason string
}

// Survey is what an activity says of a survey.
type Survey struct {
	Started      bool
	Start        time.Time
	WorkflowID   int64
	WorkflowName string
}

func (a Activity) clone() Activity {
	if a.Recording != nil {
		r := *a.Recording
		a.Recording = &r
	}
	if a.Survey != nil {
		s := *a.Survey
		a.Survey = &s
	}
	a.Voicemails = slices.Clone(a.Voicemails)
	a.Durations = maps.Clone(a.Durations)
	a.Raw = slices.Clone(a.Raw)
	a.Extra = maps.Clone(a.Extra)
	return a
}

// Lead is one ipSCAPE lead (contract section 6.6). Zero ids, texts and times are sent as null.
type Lead struct {
	ID                    int64
	CampaignID            int64
	CampaignName          string
	ListID                int64
	ListName              string
	AgentID               int64
	AgentName             string
	Timezone              string
	Completed             bool
	CustomerKey           string
	DataFields            map[string]any // empty is sent as [], the way PHP does
	LastStatusCode        int
	LastStatusDescription string
	Phones                []string // E.164, index 1 first
	OutcomeType           string
	TotalAttempts         int
	Outcome               *Outcome  // sent as outcomesByCode
	Created               time.Time // also the upload time that the filter sees; defaults to Now
	Modified              time.Time // defaults to Created
	NextAttempt           time.Time
	Raw                   json.RawMessage // sent in place of the whole item when set
	Extra                 map[string]any  // further fields of the item
}

// Outcome counts the attempts of a lead that ended with one status.
type Outcome struct {
	Count       int
	StatusCode  int
	Description string
}

func (l Lead) clone() Lead {
	if l.Outcome != nil {
		o := *l.Outcome
		l.Outcome = &o
	}
	l.DataFields = maps.Clone(l.DataFields)
	l.Phones = slices.Clone(l.Phones)
	l.Raw = slices.Clone(l.Raw)
	l.Extra = maps.Clone(l.Extra)
	return l
}

// DialAttempt is one attempt of the dialler (contract section 6.13). Zero ids and times are sent as null.
type DialAttempt struct {
	ID             int64
	ActivityID     int64
	ParentID       int64
	RootID         int64
	DialStatusID   int
	DialStatusName string
	PhoneIndex     int
	Phone          string
	LeadID         int64
	CampaignID     int64
	CampaignName   string
	Type           string    // defaults to TypeOutbound
	Dialled        time.Time // defaults to Now
	Answered       time.Time
	HangUp         time.Time
	Raw            json.RawMessage // sent in place of the whole item when set
}

func (d DialAttempt) clone() DialAttempt {
	d.Raw = slices.Clone(d.Raw)
	return d
}

// LeadList is one list of leads (contract section 6.8).
type LeadList struct {
	ID           int64
	Name         string
	CampaignID   int64
	CampaignName string
	InDialler    bool
	Weight       int
	Created      time.Time // defaults to Now
	Raw          json.RawMessage
}

func (l LeadList) clone() LeadList {
	l.Raw = slices.Clone(l.Raw)
	return l
}

// User is one user (contract section 6.11).
type User struct {
	ID                int64
	Timezone          string
	FirstName         string
	LastName          string
	Username          string
	Type              string // "agent" or "user"
	Email             string
	LoggedIn          bool
	Teams             string
	AssignedCampaigns string
	Status            string
	TimeInStatus      string
	Active            bool
	Raw               json.RawMessage
}

func (u User) clone() User {
	u.Raw = slices.Clone(u.Raw)
	return u
}

// Campaign is one campaign (contract sections 6.2 to 6.4).
type Campaign struct {
	ID                int64
	Title             string
	Description       string
	Type              string // "Outbound" or "Inbound"
	Group             string
	Running           bool
	TransferToAny     bool
	MerchantAlias     string // empty: payments are off
	Timezone          string
	Created, Modified time.Time
	Raw               json.RawMessage
}

func (c Campaign) clone() Campaign {
	c.Raw = slices.Clone(c.Raw)
	return c
}
