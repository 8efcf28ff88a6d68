package sandbox

import (
	"hash/fnv"
)

// rng is splitmix64: small, fast, and the same on every platform and Go version, which a library generator does not
// promise. It is no source of secrecy; the sandbox's secrets only look random.
type rng struct{ state uint64 }

// newRNG starts one independent sequence per label, so that adding a draw to one part leaves the others as they were.
func newRNG(seed uint64, label string) *rng {
	h := fnv.New64a()
	_, _ = h.Write([]byte(label))
	r := &rng{state: seed ^ h.Sum64()}
	r.next()
	return r
}

func (r *rng) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// intN draws from [0, n); n below one gives zero.
func (r *rng) intN(n int) int {
	if n < 1 {
		return 0
	}
	return int(r.next() % uint64(n))
}

// between draws from [low, high].
func (r *rng) between(low, high int) int { return low + r.intN(high-low+1) }

func (r *rng) float() float64 { return float64(r.next()>>11) / (1 << 53) }

func (r *rng) chance(p float64) bool { return r.float() < p }

func (r *rng) text(alphabet string, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[r.intN(len(alphabet))]
	}
	return string(out)
}

func pick[T any](r *rng, from []T) T { return from[r.intN(len(from))] }
