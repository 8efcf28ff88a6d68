package pipeline

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/big"
	"net/url"
	"slices"
	"strings"
)

// Condition says which leads a route takes: every lead that matches all of its terms. The zero value takes every lead.
type Condition struct{ terms []term }

type term struct{ key, value string }

// conditionKeys are the keys of interface.md's TRUNKLINE_PUSH.
var conditionKeys = []string{"source", "priority", "stage", "tag", "min_amount"}

// ParseCondition reads k=v&k=v. Its errors do not repeat the text, which may be a secret in the wrong place.
func ParseCondition(text string) (Condition, error) {
	var c Condition
	if text == "" {
		return c, nil
	}
	for part := range strings.SplitSeq(text, "&") {
		key, value, ok := strings.Cut(part, "=")
		if !ok || value == "" {
			return c, errors.New("a term is not key=value")
		}
		if !slices.Contains(conditionKeys, key) {
			return c, fmt.Errorf("a key is none of %s", strings.Join(conditionKeys, ", "))
		}
		value, err := url.QueryUnescape(value)
		if err != nil {
			return c, fmt.Errorf("the value of %s is not URL-encoded properly", key)
		}
		if key == "min_amount" {
			if _, ok := new(big.Rat).SetString(value); !ok {
				return c, errors.New("min_amount is not a number")
			}
		}
		c.terms = append(c.terms, term{key, value})
	}
	slices.SortFunc(c.terms, func(a, b term) int {
		return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.value, b.value))
	})
	return c, nil
}

// String writes the condition as ParseCondition reads it, in a fixed order.
func (c Condition) String() string {
	parts := make([]string, len(c.terms))
	for i, t := range c.terms {
		parts[i] = t.key + "=" + url.QueryEscape(t.value)
	}
	return strings.Join(parts, "&")
}

// Terms yields the keys and values that a lead must have.
func (c Condition) Terms() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, t := range c.terms {
			if !yield(t.key, t.value) {
				return
			}
		}
	}
}

// Matches tells whether the lead meets every term.
func (c Condition) Matches(l *Lead) bool {
	for _, t := range c.terms {
		if !t.matches(l) {
			return false
		}
	}
	return true
}

func (t term) matches(l *Lead) bool {
	switch t.key {
	case "source":
		// Either the lead's own source, or the vendor that tells of it.
		return l.Fields[FieldSource].Value == t.value ||
			slices.ContainsFunc(l.Keys, func(k LinkedKey) bool { return strings.HasPrefix(k.Evidence, t.value+"/") })
	case "priority":
		return cmp.Or(l.Fields[FieldPriority].Value, "normal") == t.value
	case "stage":
		return l.Stage == t.value
	case "tag":
		var tags []string
		_ = json.Unmarshal([]byte(l.Fields[FieldTags].Value), &tags) // no tags match nothing
		return slices.Contains(tags, t.value)
	case "min_amount":
		least, _ := new(big.Rat).SetString(t.value)
		asked, ok := new(big.Rat).SetString(l.Fields[FieldRequestedAmount].Value)
		return ok && asked.Cmp(least) >= 0
	default:
		return false
	}
}
