package convolo_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/convolo"
)

func TestConfigReportsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := convolo.NewClient(convolo.Config{
		URL: "http://app.convolo.ai/x/", WidgetKey: "canary key", APIKey: "canary\n", Country: "undefined",
		Agents: []convolo.Agent{{Name: "", Phone: "+15035550111"}, {Name: "canary", Phone: "call me"}, {Name: "ok", Phone: "+15035550111"}},
	}, base())
	if err == nil {
		t.Fatal("no error")
	}
	lines := map[string]int{}
	for line := range strings.Lines(err.Error()) {
		name, _, _ := strings.Cut(line, ":")
		lines[name]++
	}
	want := map[string]int{
		"CONVOLO_URL": 1, "CONVOLO_WIDGET_KEY": 1, "CONVOLO_API_KEY": 1, "CONVOLO_COUNTRY": 1, "CONVOLO_TIMEOUT": 1, "CONVOLO_AGENTS": 2,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("faults by variable (-want +got):\n%s\n%v", diff, err)
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a value is quoted: %v", err)
	}
	_, err = convolo.NewClient(convolo.Defaults(), base())
	if n := strings.Count(err.Error(), "is missing"); n != 2 {
		t.Errorf("an empty account gives %d missing settings, want both keys: %v", n, err)
	}
}

func TestConfigURL(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"https://app.brightcall.ai/rest/v1/ext/add_call_api/": true, "https://app.convolo.ai/rest": true, "http://127.0.0.1:9/x/": true,
		"http://sandbox:8090/x/": true, "http://app.convolo.ai/x/": false, "app.convolo.ai": false, "": false,
		"https://u@app.convolo.ai/": false, "https://app.convolo.ai/?api_key=x": false, "https://app.convolo.ai/?": false,
	} {
		c := config("")
		c.URL = text
		if _, err := convolo.NewClient(c, base()); (err == nil) != good {
			t.Errorf("%q: error %v, want good %v", text, err, good)
		}
	}
	c := config("https://app.convolo.ai")
	c.URL = strings.TrimSuffix(c.URL, "/")
	if got, err := newClient(t, c, base()).Render(ref, lead(), nil); err != nil || got.URL != "https://app.convolo.ai"+path {
		t.Errorf("a missing slash at the end: %q, %v", got.URL, err)
	}
}

func TestParseAgents(t *testing.T) {
	t.Parallel()
	got, err := convolo.ParseAgents(" Dana : +15035550111 ,, Kim:0300 555,")
	want := []convolo.Agent{{Name: "Dana", Phone: "+15035550111"}, {Name: "Kim", Phone: "0300 555"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("ParseAgents: %v (-want +got):\n%s", err, diff)
	}
	if got, err := convolo.ParseAgents(""); err != nil || got != nil {
		t.Errorf("ParseAgents of nothing = %v, %v", got, err)
	}
	if _, err := convolo.ParseAgents("Dana,:1,Kim:"); err == nil || strings.Count(err.Error(), "entry ") != 3 {
		t.Errorf("want three faults, got %v", err)
	}
}
