package convoso

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

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

// readJSON reads an object, an array of objects, or a string that holds either.
func readJSON(data []byte, wraps int) ([][]pair, error) {
	if wraps > maxWraps {
		return nil, errors.New("wrapped too deeply")
	}
	reader := bytes.NewReader(data)
	dec := json.NewDecoder(reader)
	first, err := dec.Token()
	if err != nil {
		return nil, err
	}
	var objects [][]pair
	switch first {
	case json.Delim('{'):
		pairs, err := readMembers(dec)
		if err != nil {
			return nil, err
		}
		objects = unwrap(pairs, wraps)
	case json.Delim('['):
		if objects, err = readElements(dec, wraps); err != nil {
			return nil, err
		}
	default:
		text, isText := first.(string)
		inner, ok := readText(text, wraps+1)
		if !isText || !ok {
			return nil, errors.New("a bare value")
		}
		objects = inner
	}
	// Something after the end means that this was not JSON as a whole, save for the "=" of a form.
	rest, err := io.ReadAll(io.MultiReader(dec.Buffered(), reader))
	if err != nil || strings.Trim(string(rest), " \t\r\n=") != "" {
		return nil, errors.New("text after the end")
	}
	return objects, nil
}

func readMembers(dec *json.Decoder) ([]pair, error) {
	var pairs []pair
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		pairs = append(pairs, newPair(key, valueText(value)))
		if len(pairs) > maxKeys {
			return nil, errors.New("too many keys")
		}
	}
	_, err := dec.Token()
	return pairs, err
}

// readElements reads every object of an array: the contract tells of arrays with one, and a second must not get lost.
func readElements(dec *json.Decoder, wraps int) ([][]pair, error) {
	var objects [][]pair
	for dec.More() {
		var element json.RawMessage
		if err := dec.Decode(&element); err != nil {
			return nil, err
		}
		if len(element) == 0 || element[0] != '{' {
			continue
		}
		inner, err := readJSON(element, wraps+1)
		if err != nil {
			return nil, err
		}
		if objects = append(objects, inner...); len(objects) > maxKeys {
			return nil, errors.New("too many objects")
		}
	}
	_, err := dec.Token()
	return objects, err
}

// valueText spells a JSON value as a form would: numbers by their digits as sent, null as nothing, structures as JSON.
func valueText(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '"':
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return ""
		}
		return text
	case 'n':
		return ""
	case '{', '[':
		var compact bytes.Buffer
		if json.Compact(&compact, raw) != nil {
			return ""
		}
		return compact.String()
	default:
		return string(raw)
	}
}

// unwrap replaces a "params" key by the object or form that it holds.
func unwrap(pairs []pair, wraps int) [][]pair {
	at := slices.IndexFunc(pairs, func(p pair) bool { return normal(p.key) == "params" && p.value != "" })
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
	switch normal(p.key) {
	case "apikey", "authtoken", "accesstoken", "token", "authorization", "password", "passwd", "pwd", "secret", "apisecret",
		"clientsecret", "bearer", "orgtoken", "apitoken", "xapikey":
		if p.value != "" {
			p.value = mask
		}
	}
	return p
}
