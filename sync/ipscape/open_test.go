package ipscape

import "testing"

// What an activity still lacks decides whether it is asked for again (contracts/ipscape.md section 8).
func TestOpenActivities(t *testing.T) {
	t.Parallel()
	call := func(rest string) string {
		return `{"type":"call.outbound","data":{"activityId":1,"leadId":7,"timestamps":{"created":"2024-03-02T09:00:00Z"` + rest + `}}`
	}
	for name, c := range map[string]struct {
		raw  string
		open bool
	}{
		"just begun":              {call(`}`), true},
		"nobody answered":         {call(`,"hangUp":"2024-03-02T09:01:00Z"},"recordingStatus":"enabled"`), false},
		"in wrap-up":              {call(`,"answered":"2024-03-02T09:00:05Z","hangUp":"2024-03-02T09:01:00Z"},"agentId":3`), true},
		"answered by no agent":    {call(`,"answered":"2024-03-02T09:00:05Z","hangUp":"2024-03-02T09:01:00Z"}`), false},
		"wrapped up":              {call(`,"answered":"2024-03-02T09:00:05Z","hangUp":"2024-03-02T09:01:00Z","wrapUp":"2024-03-02T09:02:00Z"},"agentId":3`), false},
		"its recording is coming": {call(`,"answered":"2024-03-02T09:00:05Z","hangUp":"2024-03-02T09:01:00Z","wrapUp":"2024-03-02T09:02:00Z"},"agentId":3,"recordingStatus":"Enabled","recordingMetadata":[]`), true},
		"its recording is there":  {call(`,"answered":"2024-03-02T09:00:05Z","hangUp":"2024-03-02T09:01:00Z","wrapUp":"2024-03-02T09:02:00Z"},"agentId":3,"recordingStatus":"enabled","recordingMetadata":{"mediaId":9}`), false},
		"no call":                 {`{"type":"email.inbound","data":{"activityId":1}}`, false},
	} {
		item, err := Settings{}.Activity([]byte(c.raw))
		if err != nil || item.Open != c.open {
			t.Errorf("%s: open %t, %v", name, item.Open, err)
		}
		if name != "no call" && item.Lead != "7" {
			t.Errorf("%s: lead %q", name, item.Lead)
		}
	}
}
