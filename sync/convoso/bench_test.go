package convoso

import "testing"

func BenchmarkParse(b *testing.B) {
	s := settings(b, Config{})
	p := post(jsonType, samples()[0].json, "event=disposition")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Parse(p); err != nil {
			b.Fatal(err)
		}
	}
}

// The receiver looks at a post before it answers, so this is on the way of every post.
func BenchmarkLook(b *testing.B) {
	s := settings(b, Config{})
	p := post(jsonType, samples()[0].json, "event=disposition")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Look(p); err != nil {
			b.Fatal(err)
		}
	}
}
