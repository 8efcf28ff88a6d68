package convoso

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const (
	// maxKeys bounds the keys of one post (section 1).
	maxKeys = 500
	// maxWraps bounds how deep a body may be wrapped in "params", arrays and quoted JSON.
	maxWraps = 4
)

// pair is one key with its value as clean text.
type pair struct {
	key, value string
	// normal is the key in the form in which keys compare.
	normal string
	// query marks what came in the URL beside a body: the body's word on the same thing wins.
	query bool
}

// readPost returns the flat objects of a post; more than one when the body is an array of several.
func readPost(p Post) ([][]pair, error) {
	body := bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(p.Body), []byte("\xef\xbb\xbf")))
	query := queryPairs(p.Query)
	if len(query) > maxKeys {
		return nil, fmt.Errorf("%d keys in the query, more than %d: %w", len(query), maxKeys, ErrUnparsable)
	}
	var objects [][]pair
	switch {
	case len(body) > 0:
		var ok bool
		if objects, ok = readText(string(body), 0); !ok {
			return nil, ErrUnparsable
		}
		for i := range objects {
			for _, q := range query {
				q.query = true
				objects[i] = append(objects[i], q)
			}
		}
	case len(query) > 0:
		objects = unwrap(query, 0)
	default:
		return nil, fmt.Errorf("empty post: %w", ErrUnparsable)
	}
	keys := 0
	for _, o := range objects {
		keys += len(o)
	}
	if keys > maxKeys {
		return nil, fmt.Errorf("%d keys, more than %d: %w", keys, maxKeys, ErrUnparsable)
	}
	return objects, nil
}

// queryPairs returns the URL's parameters in a fixed order.
func queryPairs(query url.Values) []pair {
	var pairs []pair
	for key, values := range query {
		for _, v := range values {
			pairs = append(pairs, newPair(key, v))
		}
	}
	// Stable, so that of several values of one key the first one stays first.
	slices.SortStableFunc(pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	return pairs
}

// readText reads a body, whatever its content type claims: JSON, a form, or JSON that was encoded as a form.
func readText(text string, wraps int) (objects [][]pair, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" || wraps > maxWraps {
		return nil, false
	}
	switch text[0] {
	case '{', '[', '"':
		if objects, err := readJSON([]byte(text), wraps); err == nil {
			return objects, true
		}
	}
	// One giant form key that is JSON itself, with or without the "=" of its empty value.
	decoded := strings.TrimSpace(formText(strings.TrimSuffix(text, "=")))
	if decoded == "" {
		return nil, false
	}
	if decoded[0] == '{' || decoded[0] == '[' {
		objects, err := readJSON([]byte(decoded), wraps)
		return objects, err == nil
	}
	pairs, ok := readForm(text)
	if !ok {
		return nil, false
	}
	return unwrap(pairs, wraps), true
}

// readJSON reads an object, an array of objects, or a string that holds either. It goes through the text twice, to check it
// and to split it: that takes a third of the time of encoding/json's decoder, which read every value three times.
func readJSON(data []byte, wraps int) ([][]pair, error) {
	if wraps > maxWraps {
		return nil, errors.New("wrapped too deeply")
	}
	// Something after the end means that this was not JSON as a whole, save for the "=" of a form.
	data = bytes.TrimRight(data, " \t\r\n=")
	if !json.Valid(data) {
		return nil, errors.New("not JSON")
	}
	switch doc := gjson.ParseBytes(data); {
	case doc.IsObject():
		pairs, err := readMembers(doc)
		if err != nil {
			return nil, err
		}
		return unwrap(pairs, wraps), nil
	case doc.IsArray():
		return readElements(doc, wraps)
	default:
		objects, ok := readText(stringText(doc), wraps+1)
		if !ok {
			return nil, errors.New("a bare value")
		}
		return objects, nil
	}
}

func readMembers(object gjson.Result) (pairs []pair, err error) {
	object.ForEach(func(key, value gjson.Result) bool {
		if pairs = append(pairs, newPair(stringText(key), valueText(value))); len(pairs) > maxKeys {
			err = errors.New("too many keys")
		}
		return err == nil
	})
	return pairs, err
}

// readElements reads every object of an array: the contract tells of arrays with one, and a second must not get lost.
func readElements(array gjson.Result, wraps int) (objects [][]pair, err error) {
	array.ForEach(func(_, element gjson.Result) bool {
		if !element.IsObject() {
			return true
		}
		var inner [][]pair
		if inner, err = readJSON([]byte(element.Raw), wraps+1); err != nil {
			return false
		}
		if objects = append(objects, inner...); len(objects) > maxKeys {
			err = errors.New("too many objects")
		}
		return err == nil
	})
	return objects, err
}

// valueText spells a JSON value as a form would: numbers by their digits as sent, null as nothing, structures as JSON.
func valueText(value gjson.Result) string {
	switch value.Type {
	case gjson.String:
		return stringText(value)
	case gjson.Null:
		return ""
	case gjson.JSON:
		var compact bytes.Buffer
		if json.Compact(&compact, []byte(value.Raw)) != nil {
			return ""
		}
		return compact.String()
	default:
		return value.Raw
	}
}

// stringText reads a JSON string as encoding/json does, also one with escapes or bytes that are no text: ids rest on it.
func stringText(value gjson.Result) (text string) {
	if utf8.ValidString(value.Raw) && !strings.Contains(value.Raw, `\`) {
		return value.Str
	}
	if json.Unmarshal([]byte(value.Raw), &text) != nil {
		return ""
	}
	return text
}

// unwrap replaces a "params" key by the object or form that it holds.
func unwrap(pairs []pair, wraps int) [][]pair {
	at := slices.IndexFunc(pairs, func(p pair) bool { return p.normal == "params" && p.value != "" })
	if at < 0 {
		return [][]pair{pairs}
	}
	inner, ok := readText(pairs[at].value, wraps+1)
	if !ok {
		return [][]pair{pairs}
	}
	outer := slices.Delete(slices.Clone(pairs), at, at+1)
	for i := range inner {
		inner[i] = append(slices.Clone(outer), inner[i]...)
	}
	return inner
}

// mask stands for the value of a credential.
const mask = "[redacted]"

// newPair cleans key and value, and masks what by its key is a credential: endpoints may append some to the URL (section 1).
func newPair(key, value string) pair {
	p := pair{key: pipeline.CleanText(key), value: pipeline.CleanText(value)}
	p.normal = normal(p.key)
	switch p.normal {
	case "apikey", "authtoken", "accesstoken", "token", "authorization", "password", "passwd", "pwd", "secret", "apisecret",
		"clientsecret", "bearer", "orgtoken", "apitoken", "xapikey":
		if p.value != "" {
			p.value = mask
		}
	}
	return p
}
