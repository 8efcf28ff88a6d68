package sandbox_test

import (
	"testing"

	"github.com/trunkline/trunkline/sync/sandbox"
)

func BenchmarkNewLarge(b *testing.B) {
	for b.Loop() {
		sandbox.New(sandbox.Options{Seed: 1, Now: newClock().Now, Activities: 100_000, Leads: 100_000, Posts: 10_000})
	}
}
