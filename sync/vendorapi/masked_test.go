package vendorapi_test

import (
	"strings"
	"testing"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestMasked(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"name":"Jo Doe","phone1":"+1 (305) 555-0123","n":3055550123,"mail":["jo@doe.example"],"ok":true,"no":null}`: `{"mail":["xx@xxx.xxxxxxx"],"n":0,"name":"Xx Xxx","no":null,"ok":true,"phone1":"+0 (000) 000-0000"}`,
		`{"+13055550123":{"jo@doe.example":"Jo"}}`:                `{"+00000000000":{"xx@xxx.xxxxxxx":"Xx"}}`,
		`phone=%2B13055550123&last_name=D%C3%B8e`:                 `last_name=Xxx&phone=%2B00000000000`,
		`%7B%22phone%22%3A%223055550123%22%7D=&3055550123=Jo`:     `0000000000=Xx&%7B%22xxxxx%22%3A%220000000000%22%7D=`,
		`{"phone":"3055550123"`:                                   "21 bytes that are neither JSON nor a form",
		`{"phone":"3055550123","x":"a=1"`:                         `%7B%22xxxxx%22%3A%220000000000%22%2C%22x%22%3A%22x=0%22`,
		"3055550123 Jo Doe":                                       "17 bytes that are neither JSON nor a form",
		`{"lead[phone]":"1","` + strings.Repeat("a", 70) + `":1}`: `{"lead[phone]":"0","` + strings.Repeat("x", 70) + `":0}`,
	} {
		if got := vendorapi.Masked([]byte(body)); got != want {
			t.Errorf("%s is shown as %s, want %s", body, got, want)
		}
	}
}
