package pipeline

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestRememberedPhonesAreAsReadAfresh(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.OneOf(
			rapid.StringMatching(`\+?[01]?[2-9][0-9]{9}( x[0-9]{2})?`),
			rapid.StringMatching(` ?(\+61|0)[2-478][0-9]{8} ?`),
			rapid.String(),
		).Draw(t, "raw")
		region := rapid.SampledFrom([]string{"", "US", "us", "AU"}).Draw(t, "region")
		want := readPhone(phoneText{strings.TrimSpace(raw), strings.ToUpper(region)})
		for range 2 { // the second answer is from memory
			got := ParsePhone(raw, region)
			if got.Raw != raw || got.E164 != want || got.Valid != (want != "") {
				t.Fatalf("%q in %q: %+v, want %q", raw, region, got, want)
			}
		}
	})
}

func TestMemoIsBounded(t *testing.T) {
	t.Parallel()
	var m phoneMemo
	const n = 3*memoEntries + 5
	for i := range n {
		m.put(phoneText{fmt.Sprint(i), "US"}, "+1")
	}
	if got := len(m.young) + len(m.old); got > 2*memoEntries {
		t.Errorf("%d entries are kept, at most %d are allowed", got, 2*memoEntries)
	}
	if _, known := m.get(phoneText{fmt.Sprint(n - 1), "US"}); !known {
		t.Error("the latest entry is not known")
	}
	if _, known := m.get(phoneText{"0", "US"}); known {
		t.Error("the first entry is still known")
	}
	long := phoneText{strings.Repeat("1", memoText+1), "US"}
	m.put(long, "")
	if _, known := m.get(long); known {
		t.Error("a long text was kept")
	}
}

func TestMemoIsShared(t *testing.T) {
	t.Parallel()
	var m phoneMemo
	var readers sync.WaitGroup
	for g := range 4 {
		readers.Go(func() {
			for i := range 2 * memoEntries {
				of := phoneText{fmt.Sprint(i * (g%2 + 1)), "US"}
				m.put(of, of.text)
				if e164, known := m.get(of); known && e164 != of.text {
					t.Errorf("%s is known as %s", of.text, e164)
				}
			}
		})
	}
	readers.Wait()
}

func BenchmarkParsePhone(b *testing.B) {
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			ParsePhone("+61290001111", "AU")
		}
	})
	b.Run("afresh", func(b *testing.B) {
		for b.Loop() {
			readPhone(phoneText{"+61290001111", "AU"})
		}
	})
}
