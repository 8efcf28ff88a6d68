package pipeline

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// stepSpace is the name space of the ids of steps.
var stepSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/trunkline/trunkline/call-events"))

// StepID is the id of one step of a call. A step that is told again, however late and by whomever, is the same one.
// disposition is empty where the step was told without one.
func StepID(call CallKey, kind EventType, at time.Time, disposition string) uuid.UUID {
	return uuid.NewSHA1(stepSpace, []byte(strings.Join([]string{
		string(call.Dialler), call.Account, call.ExternalID, string(kind), strconv.FormatInt(at.UnixMicro(), 10), disposition,
	}, "\x00")))
}
