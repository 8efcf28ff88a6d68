package webhook

import "testing"

// The vector of contracts/lendworks.md section 9.1.
func TestSign(t *testing.T) {
	t.Parallel()
	got := Sign("whsec_test", 1760000000, []byte(`{"id":"evt_1"}`))
	if want := "sha256=66e880d7175fffb43ce10c4e14db1cfb230c8804b5aafb116affbc9a836c7690"; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}
