// Package status reads the state of everything at one moment: what `trunkline status` prints and what the status page shows.
package status

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// Status is what an operator wants to know, of all organisations.
type Status struct {
	Well     bool      `json:"well"`
	Daemons  int       `json:"daemons"`
	Problems []Problem `json:"problems"`
	Streams  []Stream  `json:"streams"`
	// Deliveries are the open ones, and those of the last store.TallySpan that have ended.
	Deliveries []Delivery `json:"deliveries"`
	Queues     []Queue    `json:"queues"`
	Gaps       []Gap      `json:"gaps"`
	// Inbox and Unfolded count posts and records that wait, Quarantine open items.
	Inbox      int              `json:"inbox_backlog"`
	Unfolded   int              `json:"reconcile_backlog"`
	Quarantine int              `json:"quarantine"`
	Shapes     []Shape          `json:"quarantine_shapes"`
	Webhooks   Webhooks         `json:"webhooks"`
	Speed      Speed            `json:"speed_to_lead"`
	Posts      []PostMinute     `json:"posts"`
	Unmapped   []Unmapped       `json:"unmapped_dispositions"`
	Backfills  []store.Backfill `json:"-"`
	Drift      []Drift          `json:"drift"`
	// BadPosts counts posts that nobody understood, Obligations the do-not-call orders that no dialler has confirmed yet.
	BadPosts    int `json:"bad_posts"`
	Obligations int `json:"do_not_call_open"`
	// Replica is nil where there is none.
	Replica *Replica `json:"replica,omitempty"`

	// At is when it was read (UTC).
	At time.Time `json:"at"`
	// Lookback is how far the hourly second look reaches, for Stream.Covered.
	Lookback time.Duration `json:"-"`
}

// Problem is a reason for which all is not well. As JSON it is its text.
type Problem struct {
	Text string
	// Page is where the status page shows what lies behind it; Command shows the same, or acts on it. Where no command does, Runbook is
	// the heading of docs/operations.md under which it says what to do. Empty for none.
	Page, Command, Runbook string
}

// MarshalJSON implements json.Marshaler.
func (p Problem) MarshalJSON() ([]byte, error) { return json.Marshal(p.Text) }

// Stream is how far a stream is read. Times are RFC 3339 in UTC, "-" for never.
type Stream struct {
	Source         string `json:"source"`
	Stream         string `json:"stream"`
	CoveredThrough string `json:"covered_through"`
	LagSeconds     int    `json:"lag_s"`
	Holes          int    `json:"holes"`
	// LastWalk is the last live one.
	LastWalk    string `json:"last_walk"`
	LastSuccess string `json:"last_success_at"`
	LastError   string `json:"last_error"`
	Warning     string `json:"warning"`
	Sweep       string `json:"sweep"`
	// Changes is how many changes of rows were measured, and Covered how many of them came within the look-back.
	Changes int64 `json:"changes"`
	Covered int64 `json:"changes_in_lookback"`

	// State is what it was made of; Late tells that its lag is a problem.
	State *store.StreamStatus `json:"-"`
	Late  bool                `json:"-"`
}

// ChangesText says how well the second look does; empty where nothing was measured. Few changes are counted: a share of them would look
// surer than it is.
func (s *Stream) ChangesText(lookback time.Duration) string {
	if s.Changes == 0 {
		return ""
	}
	share := fmt.Sprintf("%d", s.Covered)
	if s.Changes >= 100 {
		share = fmt.Sprintf("%.1f%%", 100*float64(s.Covered)/float64(s.Changes))
	}
	back := lookback.String()
	if hours := int(lookback.Hours()); lookback == time.Duration(hours)*time.Hour {
		back = fmt.Sprintf("%dh", hours)
	}
	return fmt.Sprintf("%s of %s came within the look-back of %s", share, Many(s.Changes, "change", "changes"), back)
}

// Delivery counts deliveries of one kind in one state. Reason is why they ended so, Hold what they wait for; either may be empty.
type Delivery struct {
	Destination string    `json:"destination"`
	Operation   string    `json:"operation"`
	State       string    `json:"state"`
	Reason      string    `json:"reason"`
	Hold        string    `json:"hold"`
	Count       int       `json:"count"`
	Oldest      time.Time `json:"oldest_at"`
}

// Why is the reason, and where there is none the hold: what the lists of deliveries show and are asked for.
func (d *Delivery) Why() string { return cmp.Or(d.Reason, d.Hold) }

// WhyText is Why, with a word on who refused it where that can be nobody but us.
func (d *Delivery) WhyText() string {
	if d.State == string(pipeline.DeliveryRejected) && slices.Contains(ownReasons, d.Reason) {
		return d.Reason + " (refused by us, not sent)"
	}
	return d.Why()
}

// Queue counts River's jobs of one kind in one state, completed ones left out.
type Queue struct {
	Kind  string `json:"kind"`
	State string `json:"state"`
	Count int    `json:"count"`
}

// Gap is a sign that posts were lost: see view analytics.gaps.
type Gap struct {
	Source   string `json:"source"`
	Campaign string `json:"campaign"`
	Kind     string `json:"kind"`
	Since    string `json:"since"`
	Missing  int    `json:"missing"`
}

// Unmapped is a code of the last week's calls that no rule maps.
type Unmapped struct {
	Source string `json:"source"`
	Code   string `json:"code"`
	Name   string `json:"name"`
	Calls  int64  `json:"calls"`
}

// Shape is what lies in quarantine for one reason: of the newest items, those whose errors are alike.
type Shape struct {
	Source  string    `json:"source"`
	Stream  string    `json:"stream"`
	Reason  string    `json:"reason"`
	Error   string    `json:"error"`
	Items   int       `json:"items"`
	Last    time.Time `json:"last_seen_at"`
	Example string    `json:"example_id"`
}

// PostMinute counts the posts of one source in one minute of the last hour; minutes without any are left out.
type PostMinute struct {
	Source string    `json:"source"`
	Minute time.Time `json:"minute"`
	Posts  int       `json:"posts"`
	Bad    int       `json:"bad"`
}

// Webhooks is how webhooks out stand.
type Webhooks struct {
	Endpoints int `json:"endpoints"`
	Failing   int `json:"failing"`
	Disabled  int `json:"disabled"`
	Pending   int `json:"pending"`
	Failed    int `json:"failed"`
}

// Speed is the median of seconds from a lead's creation to each step, over the last day's pushed leads; nil = none got there.
// SentIn and DialledIn are histograms over store.SpeedBounds.
type Speed struct {
	Leads     int      `json:"leads"`
	Ready     *float64 `json:"ready_s"`
	Sent      *float64 `json:"sent_s"`
	Accepted  *float64 `json:"accepted_s"`
	Dialled   *float64 `json:"dialled_s"`
	Answered  *float64 `json:"answered_s"`
	SentIn    []int    `json:"sent_histogram"`
	DialledIn []int    `json:"dialled_histogram"`
}

// Text says it in a line.
func (l *Speed) Text() string {
	parts := []string{Many(l.Leads, "lead", "leads") + " pushed in a day"}
	for _, step := range []struct {
		name string
		s    *float64
	}{{"ready", l.Ready}, {"sent", l.Sent}, {"accepted", l.Accepted}, {"dialled", l.Dialled}, {"answered", l.Answered}} {
		if step.s != nil {
			parts = append(parts, step.name+" "+time.Duration(*step.s*float64(time.Second)).Round(time.Second).String())
		}
	}
	return "speed to lead (median): " + strings.Join(parts, ", ")
}

// FirstLine is "well", or "not well:" and the reasons.
func (s *Status) FirstLine() string {
	if s.Well {
		return "well"
	}
	texts := make([]string, len(s.Problems))
	for i := range s.Problems {
		texts[i] = s.Problems[i].Text
	}
	return "not well: " + strings.Join(texts, "; ")
}

// Many writes a count with its word.
func Many[N int | int64](n N, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func whenPtr(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return when(*t)
}
