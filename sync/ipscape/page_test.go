package ipscape

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// got is what came of a page.
type got struct {
	Next  []string
	Items []string
	Bad   []string
	Err   string
}

// readPage reads an answer as a client at https://tenant.example/platform-api would.
func readPage(src io.Reader, limit limits) (got, error) {
	var g got
	p := page{
		scan:   newScanner(src, limit.page),
		limit:  limit,
		cursor: func(next string) (string, error) { return cursorOf(tenant(), next) },
		onNext: func(cursor string) { g.Next = append(g.Next, cursor) },
		emit: func(raw json.RawMessage, bad *ItemError) error {
			if bad != nil {
				g.Bad = append(g.Bad, bad.Reason)
				return nil
			}
			g.Items = append(g.Items, string(raw))
			return nil
		},
	}
	err := p.scan.skipMark()
	if err == nil {
		err = p.read()
	}
	if err != nil {
		g.Err = err.Error()
	}
	return g, err
}

func tenant() *url.URL {
	return &url.URL{Scheme: "https", Host: "tenant.example", Path: "/platform-api"}
}

func TestPage(t *testing.T) {
	t.Parallel()
	const cut = "unexpected EOF"
	tests := []struct {
		name, in string
		want     got
	}{
		{"metadata first", `{"metadata":{"nextUri":"/v3.0/leads?cursor=c2"},"items":[{"a":1},{"b":[2]}]}`, got{Next: []string{"c2"}, Items: []string{`{"a":1}`, `{"b":[2]}`}}},
		{"metadata last", `{"items":[{}],"metadata":{"nextUri":"?cursor=c2"}}`, got{Next: []string{"c2"}, Items: []string{`{}`}}},
		{"blanks and a mark", "\uFEFF \r\n{ \"items\" : [ { \"a\" : 1 } , 2 ] } \n", got{Items: []string{`{ "a" : 1 }`, `2`}}},
		{"data", `{"pageNo":0,"data":[{"x":"]}\""}]}`, got{Items: []string{`{"x":"]}\""}`}}},
		{"last page, null", `{"metadata":{"nextUri":null},"items":[]}`, got{}},
		{"last page, empty", `{"metadata":{"nextUri":""},"items":[]}`, got{}},
		{"last page, absent", `{"metadata":{"previousUri":"/x?cursor=1"},"items":[]}`, got{}},
		{"last page, null metadata", `{"metadata":null,"items":[]}`, got{}},
		{"last page, PHP's empty metadata", `{"metadata":[ ],"items":[]}`, got{}},
		{"last page, no metadata", `{"items":[]}`, got{}},
		{"empty page that goes on", `{"items":[],"metadata":{"nextUri":"/platform-api/v3.0/leads?cursor=%2B+x"}}`, got{Next: []string{"+ x"}}},
		{"items that are no objects", `{"items":["x",null,[1],true]}`, got{Items: []string{`"x"`, `null`, `[1]`, `true`}}},
		{"an item broken inside", `{"items":[{"a":tru},{"b":1}]}`, got{Items: []string{`{"a":tru}`, `{"b":1}`}}},
		{"metadata inside an item", `{"items":[{"metadata":{"nextUri":"/x?cursor=no"}}]}`, got{Items: []string{`{"metadata":{"nextUri":"/x?cursor=no"}}`}}},
		{"escaped names", `{"it\u0065ms":[1]}`, got{Items: []string{"1"}}},
		{"a name too long", `{"` + strings.Repeat("k", 5000) + `":1,"items":[]}`, got{}},

		{"neither items nor data", `{"error":"down"}`, got{Err: "answer has neither items nor data"}},
		{"an empty object", `{}`, got{Err: "answer has neither items nor data"}},
		{"items is null", `{"items":null}`, got{Err: "items is no list"}},
		{"items is an object", `{"items":{}}`, got{Err: "items is no list"}},
		{"metadata is a text", `{"metadata":"","items":[]}`, got{Err: "metadata cannot be read"}},
		{"metadata is a word", `{"metadata":nope,"items":[]}`, got{Err: "metadata cannot be read"}},
		{"metadata is a list", `{"metadata":[1],"items":[]}`, got{Err: "metadata cannot be read"}},
		{"metadata twice", `{"metadata":{},"metadata":{},"items":[]}`, got{Err: "metadata comes twice"}},
		{"metadata too large", `{"metadata":{"x":"` + strings.Repeat("x", maxMetadata) + `"},"items":[]}`, got{Err: "metadata is too large"}},
		{"nextUri is a number", `{"metadata":{"nextUri":1},"items":[]}`, got{Err: "metadata cannot be read"}},
		{"nextUri is false", `{"metadata":{"nextUri":false},"items":[]}`, got{Err: "metadata cannot be read"}},
		{"nextUri without a cursor", `{"metadata":{"nextUri":"/v3.0/leads"},"items":[]}`, got{Err: "nextUri has no cursor"}},
		{"foreign host", `{"metadata":{"nextUri":"https://evil.example/v3.0/leads?cursor=c"},"items":[]}`, got{Err: errForeignHost.Error()}},
		{"more after the end", `{"items":[1]}<br>`, got{Items: []string{"1"}, Err: "there is more after the end of the JSON"}},
		{"no comma between items", `{"items":[1 2]}`, got{Items: []string{"1"}, Err: "a comma is missing between items"}},
		{"no comma between members", `{"a":1 "items":[]}`, got{Err: "a comma is missing between members"}},
		{"no colon", `{"a" 1}`, got{Err: `':' is missing`}},
		{"no name", `{1:2}`, got{Err: "a member has no name"}},
		{"a comma too many", `{"items":[1,]}`, got{Items: []string{"1"}, Err: "a value is missing"}},
		{"brackets crossed", `{"items":[{"a":[}]}`, got{Err: "brackets do not match"}},

		{"cut in an item", `{"items":[{"a":1},{"b":`, got{Items: []string{`{"a":1}`}, Err: cut}},
		{"cut in a text", `{"items":["a`, got{Err: cut}},
		{"cut in an escape", `{"items":["a\`, got{Err: cut}},
		{"cut between items", `{"items":[1,`, got{Items: []string{"1"}, Err: cut}},
		{"cut after a number", `{"items":[12`, got{Items: []string{"12"}, Err: cut}},
		{"cut after the items", `{"items":[1]`, got{Items: []string{"1"}, Err: cut}},
		{"cut at a name", `{"ite`, got{Err: cut}},
		{"cut at the beginning", `{`, got{Err: cut}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			readers := map[string]io.Reader{
				"whole":        strings.NewReader(tt.in),
				"byte by byte": iotest.OneByteReader(strings.NewReader(tt.in)),
				"with EOF":     iotest.DataErrReader(strings.NewReader(tt.in)),
			}
			for name, src := range readers {
				g, err := readPage(src, limits{maxPageBytes, maxItemBytes})
				if diff := cmp.Diff(tt.want, g); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
				if isSyntax(err) == (g.Err == "" || g.Err == cut || g.Err == errForeignHost.Error()) {
					t.Errorf("%s: error of type %T", name, err)
				}
			}
		})
	}
}

func TestPageLimits(t *testing.T) {
	t.Parallel()
	item := `{"x":"` + strings.Repeat("y", 300) + `"}`
	doc := `{"items":[1,` + item + `,2,"` + strings.Repeat("z", 400) + `",3]}`
	g, err := readPage(strings.NewReader(doc), limits{page: maxPageBytes, item: int64(len(item)) - 1})
	if err != nil || !cmp.Equal(g.Items, []string{"1", "2", "3"}) || !cmp.Equal(g.Bad, []string{ReasonTooLarge, ReasonTooLarge}) {
		t.Errorf("got %+v, %v", g, err)
	}
	if g, err := readPage(strings.NewReader(doc), limits{page: maxPageBytes, item: int64(len(item))}); err != nil || len(g.Items) != 4 {
		t.Errorf("an item of just the allowed size: %+v, %v", g, err)
	}
	if _, err := readPage(strings.NewReader(doc), limits{page: int64(len(doc)), item: 1 << 20}); err != nil {
		t.Errorf("a page of just the allowed size: %v", err)
	}
	if _, err := readPage(strings.NewReader(doc), limits{page: int64(len(doc)) - 1, item: 1 << 20}); !errors.Is(err, errPageTooLarge) {
		t.Errorf("a page too large: %v", err)
	}
}

// Items that straddle the scanner's buffer come out whole.
func TestPageAcrossBuffers(t *testing.T) {
	t.Parallel()
	var doc bytes.Buffer
	doc.WriteString(`{"items":[`)
	var want []string
	for i := range 900 {
		if i > 0 {
			doc.WriteByte(',')
		}
		item := fmt.Sprintf(`{"id":%d,"text":"%s\\\""}`, i, strings.Repeat("x\\\"", i))
		want = append(want, item)
		doc.WriteString(item)
	}
	doc.WriteString(`]}`)
	g, err := readPage(&doc, limits{maxPageBytes, maxItemBytes})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, g.Items); diff != "" {
		t.Error(diff)
	}
}

func TestPageDeepNesting(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`[{"a":`, 100_000) + "1" + strings.Repeat("}]", 100_000)
	g, err := readPage(strings.NewReader(`{"items":[`+deep+`,2]}`), limits{maxPageBytes, maxItemBytes})
	if err != nil || len(g.Items) != 2 || g.Items[0] != deep {
		t.Errorf("%d items, %v", len(g.Items), err)
	}
}

func TestPageStuckReader(t *testing.T) {
	t.Parallel()
	if _, err := readPage(stuck{}, limits{maxPageBytes, maxItemBytes}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// Whatever JSON a page is, its items are those that encoding/json finds; a page it cannot read gives no quiet success.
func FuzzPage(f *testing.F) {
	for _, seed := range []string{
		`{"metadata":{"nextUri":"/v3.0/leads?cursor=c2"},"items":[{"a":"\\\""},2,[3]]}`, `{"data":[]}`, `{"items":[{"a":1}`, `{"items":[1,]}`, `{}`, `<html>`,
	} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, raw []byte, chunk uint8) {
		g, err := readPage(&chunks{raw, int(chunk) + 1}, limits{maxPageBytes, 1 << 10})
		var want struct {
			Items, Data *[]json.RawMessage
		}
		dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\uFEFF"))))
		jsonErr := dec.Decode(&want)
		if err != nil {
			if len(g.Next) > 1 {
				t.Fatal("two next pages")
			}
			return
		}
		if !bytes.HasSuffix(bytes.TrimSpace(raw), []byte("}")) {
			t.Fatalf("%q was read as a page", raw)
		}
		// Names are compared exactly here and not by encoding/json, and names may come twice: then there is nothing to compare.
		if jsonErr != nil || strings.Count(strings.ToLower(string(raw)), `"items"`) != 1 || bytes.ContainsAny(raw, `\`) ||
			strings.Contains(strings.ToLower(string(raw)), `"data"`) || !bytes.Contains(raw, []byte(`"items"`)) {
			return
		}
		if want.Items == nil || len(*want.Items) != len(g.Items)+len(g.Bad) {
			t.Fatalf("%q: %d items and %d bad ones", raw, len(g.Items), len(g.Bad))
		}
		if len(g.Bad) > 0 {
			return
		}
		for i, item := range *want.Items {
			if string(item) != g.Items[i] {
				t.Fatalf("item %d is %q, want %q", i, g.Items[i], item)
			}
		}
	})
}

// chunks gives its bytes out a few at a time.
type chunks struct {
	left []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.left[:min(c.size, len(c.left))])
	c.left = c.left[n:]
	return n, nil
}

func TestCursorOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		uri, cursor string
		foreign     bool
	}{
		{uri: "/v3.0/leads?cursor=abc", cursor: "abc"},
		{uri: "/platform-api/v3.0/leads?cursor=abc", cursor: "abc"},
		{uri: "?cursor=abc", cursor: "abc"},
		{uri: "/v3.0/leads?campaignId=1&cursor=abc%3D%3D&x=", cursor: "abc=="},
		{uri: "https://tenant.example/v3.0/leads?cursor=abc", cursor: "abc"},
		{uri: "https://TENANT.example:443/v3.0/leads?cursor=abc", cursor: "abc"},
		{uri: "http://tenant.example/v3.0/leads?cursor=abc", cursor: "abc"},
		{uri: "//tenant.example/v3.0/leads?cursor=abc", cursor: "abc"},
		{uri: "https://evil.example/v3.0/leads?cursor=abc", foreign: true},
		{uri: "//evil.example/v3.0/leads?cursor=abc", foreign: true},
		{uri: "https://tenant.example@evil.example/?cursor=abc", foreign: true},
		{uri: "https://user@tenant.example/?cursor=abc", foreign: true},
		{uri: "https://tenant.example.evil.example/?cursor=abc", foreign: true},
		{uri: "https://tenant.example:8443/?cursor=abc", foreign: true},
		{uri: "ftp://tenant.example/?cursor=abc", foreign: true},
		{uri: "https:?cursor=abc", foreign: true},
		{uri: "javascript:alert(1)?cursor=abc", foreign: true},
		{uri: "/v3.0/leads"},
		{uri: "/v3.0/leads?cursor="},
		{uri: "/v3.0/leads?Cursor=abc"},
		{uri: "/v3.0/leads?cursor=%zz"},
		{uri: "/v3.0/leads?x=1#cursor=abc"},
		{uri: "%zz"},
	}
	for _, tt := range tests {
		cursor, err := cursorOf(tenant(), tt.uri)
		if cursor != tt.cursor || (err == nil) != (tt.cursor != "") || errors.Is(err, errForeignHost) != tt.foreign {
			t.Errorf("%q: got %q, %v", tt.uri, cursor, err)
		}
	}
}
