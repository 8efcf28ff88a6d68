package dialedin_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/dialedin"
)

func TestConfigReportsEveryFault(t *testing.T) {
	t.Parallel()
	c := dialedin.Config{
		BaseURL: "http://api.example.com/HttpImport/", Token: "canary token\n", AccID: "canary acc", Subcampaign: strings.Repeat("x", 51), DuplicatesCheck: 4,
		Fields: map[string]string{
			"nonsense": "A", "email": "firstname", "phone": "PrimaryPhone", "city": "dialnoncallables", "state": "A__B", "tags": "Tag", "source": "adv_Tag",
			"customFields.": "B", "industry": "adv_",
		},
		Patterns: map[dialedin.Class]string{"accepted": "canary(", "duplicate": "x*", "nonsense": "a"},
		Scripts:  map[dialedin.Group]string{"insert": "https://elsewhere.example/x.php", "text": "../secret.php", "nonsense": "a.php"},
	}
	_, err := dialedin.NewClient(c, base())
	if err == nil {
		t.Fatal("no error")
	}
	lines := map[string]int{}
	for line := range strings.Lines(err.Error()) {
		name, _, _ := strings.Cut(line, ":")
		lines[name]++
	}
	want := map[string]int{
		"DIALEDIN_BASE_URL": 1, "DIALEDIN_TOKEN": 1, "DIALEDIN_ACCID": 1, "DIALEDIN_CAMPAIGN": 1, "DIALEDIN_SUBCAMPAIGN": 1,
		"DIALEDIN_DUPLICATES_CHECK": 1, "DIALEDIN_TIMEOUT": 1, "DIALEDIN_FIELDS": 8, "DIALEDIN_PATTERN_ACCEPTED": 1, "DIALEDIN_PATTERN_DUPLICATE": 1,
		"DIALEDIN_PATTERN_NONSENSE": 1, "DIALEDIN_SCRIPT_INSERT": 1, "DIALEDIN_SCRIPT_TEXT": 1, "DIALEDIN_SCRIPT_NONSENSE": 1,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("faults by variable (-want +got):\n%s\n%v", diff, err)
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a value is quoted: %v", err)
	}
	_, err = dialedin.NewClient(dialedin.Defaults(), base())
	if n := strings.Count(err.Error(), "is missing"); n != 3 {
		t.Errorf("an empty account gives %d missing settings, want token, accid and campaign: %v", n, err)
	}
}

func TestConfigBaseURL(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"https://api.chasedatacorp.com/HttpImport/": true, "https://api.chasedatacorp.com/HttpImport": true, "http://127.0.0.1:9/x/": true,
		"http://[::1]:9/": true, "http://localhost": true, "http://sandbox:8090/HttpImport/": true, "http://10.1.2.3/": true,
		"http://www.chasedatacorp.com/HttpImport/": false, "http://203.0.113.9/": false, "ftp://127.0.0.1/": false, "": false, "api.example.com": false,
		"https://u:p@api.example.com/": false, "https://api.example.com/?token=x": false, "https://api.example.com/#x": false, "https://": false, "https://%zz/": false,
	} {
		c := config("")
		c.BaseURL = text
		if _, err := dialedin.NewClient(c, base()); (err == nil) != good {
			t.Errorf("%q: error %v, want good %v", text, err, good)
		}
	}
}

func TestConfigScript(t *testing.T) {
	t.Parallel()
	v := newVendor(t, answer(200, "Result: OK"))
	c := config(v.URL)
	c.Scripts = map[dialedin.Group]string{dialedin.GroupInsert: "v2/Inject-Lead.php"}
	if _, err := newClient(t, c, base()).Insert(t.Context(), lead()); err != nil {
		t.Fatal(err)
	}
	if uri := v.seen()[0].uri; uri != "/HttpImport/v2/Inject-Lead.php" {
		t.Errorf("asked %s", uri)
	}
}

func TestSuppressesDuplicates(t *testing.T) {
	t.Parallel()
	for mode, want := range map[int]bool{0: true, 1: false, 2: true, 3: true} {
		c := config("http://127.0.0.1:1")
		c.DuplicatesCheck, c.Dial = mode, want
		client := newClient(t, c, base())
		if client.SuppressesDuplicates() != want || client.Rings() != want {
			t.Errorf("mode %d: suppresses %v, rings %v", mode, client.SuppressesDuplicates(), client.Rings())
		}
	}
}

func TestParseFields(t *testing.T) {
	t.Parallel()
	got, err := dialedin.ParseFields(" businessName = Business Name ,, customFields.x=adv_X=Y,")
	if want := map[string]string{"businessName": "Business Name", "customFields.x": "adv_X=Y"}; err != nil || !maps.Equal(got, want) {
		t.Errorf("ParseFields = %v, %v, want %v", got, err, want)
	}
	if got, err := dialedin.ParseFields(""); err != nil || len(got) != 0 {
		t.Errorf("ParseFields of nothing = %v, %v", got, err)
	}
	_, err = dialedin.ParseFields("a,=b,c=,d=e,d=f")
	if err == nil || strings.Count(err.Error(), "entry ") != 4 {
		t.Errorf("want four faults, got %v", err)
	}
}
