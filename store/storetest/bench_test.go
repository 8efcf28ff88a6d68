package storetest

import (
	"fmt"
	"testing"
)

// BenchmarkClone is what a test pays for its database, by the strategy it is cloned with.
func BenchmarkClone(b *testing.B) {
	s := server(b)
	template, err := s.migrated()
	if err != nil {
		b.Fatal(err)
	}
	for _, strategy := range []string{"file_copy", "wal_log"} {
		b.Run(strategy, func(b *testing.B) {
			for b.Loop() {
				name := fmt.Sprintf("%s_b%d", s.prefix, s.count.Add(1))
				if err := s.exec(b.Context(), "create database %s template "+template+" strategy "+strategy, name); err != nil {
					b.Fatal(err)
				}
				if err := s.drop(name); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
