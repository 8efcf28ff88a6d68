package store

import (
	"time"

	"github.com/google/uuid"
)

// Data of the events. The first two are those of contracts/lendworks.md section 9.3.
type (
	leadCreatedData struct {
		LeadID           uuid.UUID  `json:"leadId"`
		OrgID            uuid.UUID  `json:"orgId"`
		BusinessName     *string    `json:"businessName"`
		ContactFirstName *string    `json:"contactFirstName"`
		ContactLastName  *string    `json:"contactLastName"`
		Email            *string    `json:"email"`
		Source           string     `json:"source"`
		Priority         string     `json:"priority"`
		StageID          *uuid.UUID `json:"stageId"`
		AdvisorID        *string    `json:"advisorId"`
	}
	leadStatusData struct {
		LeadID             uuid.UUID  `json:"leadId"`
		OrgID              uuid.UUID  `json:"orgId"`
		PreviousStageID    *uuid.UUID `json:"previousStageId"`
		PreviousStageLabel *string    `json:"previousStageLabel"`
		NewStageID         *uuid.UUID `json:"newStageId"`
		NewStageLabel      *string    `json:"newStageLabel"`
		ChangedBy          *string    `json:"changedBy"`
	}
	callData struct {
		ExternalCallID  string     `json:"externalCallId"`
		OrgID           uuid.UUID  `json:"orgId"`
		Source          string     `json:"source"`
		LeadID          *uuid.UUID `json:"leadId"`
		UserID          *string    `json:"userId"`
		Direction       *string    `json:"direction"`
		StartedAt       *time.Time `json:"startedAt"`
		AnsweredAt      *time.Time `json:"answeredAt"`
		EndedAt         *time.Time `json:"endedAt"`
		DurationSeconds *int       `json:"durationSeconds"`
		Disposition     *string    `json:"disposition"`
		DispositionRaw  *string    `json:"dispositionRaw"`
	}
	dncData struct {
		OrgID   uuid.UUID   `json:"orgId"`
		Phone   *string     `json:"phone"`
		LeadIDs []uuid.UUID `json:"leadIds"`
		Reason  string      `json:"reason"`
		Source  *string     `json:"source"`
		Since   time.Time   `json:"since"`
	}
)
