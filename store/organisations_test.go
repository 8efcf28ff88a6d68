package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

func TestEnsureDefaultByManyDaemons(t *testing.T) {
	t.Parallel()
	db := intakeDB(t)
	ids := make([]uuid.UUID, 6)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			org, err := db.EnsureDefault(t.Context())
			if err != nil {
				t.Errorf("daemon %d: %v", i, err)
			}
			ids[i] = org.ID
		})
	}
	wg.Wait()
	for i, id := range ids {
		if id == uuid.Nil || id != ids[0] {
			t.Errorf("daemon %d got organisation %s, the first one %s", i, id, ids[0])
		}
	}
	var keys []string
	err := db.Pool.QueryRow(t.Context(), "select array_agg(stage_key order by position) from pipeline.stages where org_id = $1", ids[0]).
		Scan(&keys)
	if err != nil || len(keys) != 7 || keys[0] != "new_lead" || keys[6] != "lost" {
		t.Errorf("default stages %v (%v)", keys, err)
	}
}

func TestCreateOrganisation(t *testing.T) {
	t.Parallel()
	db := intakeDB(t)
	org, err := db.CreateOrganisation(t.Context(), " Birch & Co '; -- ")
	if err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{org.Name, "default"} {
		if _, err := db.CreateOrganisation(t.Context(), taken); !errors.Is(err, store.ErrExists) {
			t.Errorf("%q a second time: %v, want ErrExists", taken, err)
		}
	}
	if _, err := db.CreateOrganisation(t.Context(), "  "); err == nil {
		t.Error("an empty name was taken")
	}
	list, err := db.Organisations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || !list[0].IsDefault || list[1].ID != org.ID || list[1].Name != "Birch & Co '; --" || list[1].HasReceiverToken {
		t.Errorf("listed %+v", list)
	}
	if n := countRows(t, db, "select count(*) from pipeline.stages where org_id = $1", org.ID); n != 7 {
		t.Errorf("%d stages, want 7", n)
	}
}

func TestReceiverToken(t *testing.T) {
	t.Parallel()
	db := intakeDB(t)
	org, err := db.EnsureDefault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.MakeReceiverToken(t.Context(), uuid.New(), false); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown organisation: %v, want ErrNotFound", err)
	}
	first, err := db.MakeReceiverToken(t.Context(), org.ID, false)
	if err != nil || len(first) < 26 { // 26 characters of five bits are 130 bit
		t.Fatalf("token of %d characters: %v", len(first), err)
	}
	if _, err := db.MakeReceiverToken(t.Context(), org.ID, false); !errors.Is(err, store.ErrExists) {
		t.Errorf("second token without rotate: %v, want ErrExists", err)
	}
	second, err := db.MakeReceiverToken(t.Context(), org.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := db.ReceiverTokens(t.Context())
	if err != nil || len(tokens) != 1 || tokens[store.HashReceiverToken(second)] != org.ID || first == second {
		t.Errorf("tokens after the rotation: %d, error %v", len(tokens), err)
	}
	if n := countRows(t, db, "select count(*) from ops.organisations o where o::text like '%' || $1 || '%'", second); n != 0 {
		t.Error("the token's text is in the table")
	}
}

func TestAPIKeyLife(t *testing.T) {
	t.Parallel()
	db := intakeDB(t)
	org, err := db.EnsureDefault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.CreateAPIKey(t.Context(), store.NewAPIKey{Org: uuid.New(), Name: "x"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("key of an unknown organisation: %v, want ErrNotFound", err)
	}
	expires := time.Now().Add(time.Hour)
	made, text, err := db.CreateAPIKey(t.Context(), store.NewAPIKey{Org: org.ID, Name: "ci", ExpiresAt: expires})
	if err != nil {
		t.Fatal(err)
	}
	prefix, ok := store.KeyPrefix(text)
	if !ok || prefix != made.Prefix || made.Level != store.LevelFull || made.Tier != store.TierPremium {
		t.Errorf("made %+v with prefix %q", made, prefix)
	}
	found, err := db.APIKeyByPrefix(t.Context(), prefix)
	if err != nil || found.Hash != store.HashAPIKey(text) || found.Org != org.ID || found.ExpiresAt == nil {
		t.Errorf("found %+v: %v", found, err)
	}
	for _, odd := range []string{"", "no\x00such", "\xff", "%"} {
		if _, err := db.APIKeyByPrefix(t.Context(), odd); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("prefix %q: %v, want ErrNotFound", odd, err)
		}
	}

	replaced, newText, err := db.RotateAPIKey(t.Context(), made.ID, time.Hour)
	if err != nil || newText == text || replaced.Name != "ci" || replaced.ExpiresAt == nil {
		t.Fatalf("rotated to %+v: %v", replaced, err)
	}
	old, err := db.APIKeyByPrefix(t.Context(), prefix)
	if err != nil || old.RevokedAt == nil || !old.RevokedAt.After(time.Now().Add(50*time.Minute)) || *old.RotatedTo != replaced.ID {
		t.Errorf("the old key after the rotation: %+v, %v", old, err)
	}
	if _, _, err := db.RotateAPIKey(t.Context(), made.ID, 0); !errors.Is(err, store.ErrKeyRetired) {
		t.Errorf("rotated twice: %v, want ErrKeyRetired", err)
	}
	if err := db.RevokeAPIKey(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if old, err = db.APIKeyByPrefix(t.Context(), prefix); err != nil || old.RevokedAt.After(time.Now().Add(time.Second)) {
		t.Errorf("revoking does not end the grace: %+v, %v", old.RevokedAt, err)
	}
	if err := db.RevokeAPIKey(t.Context(), uuid.New()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("revoking an unknown key: %v, want ErrNotFound", err)
	}

	used := time.Now().Truncate(time.Microsecond)
	for _, at := range []time.Time{used, used.Add(30 * time.Second), used.Add(-time.Hour)} {
		if err := db.TouchAPIKey(t.Context(), made.ID, at); err != nil {
			t.Fatal(err)
		}
	}
	if old, err = db.APIKeyByPrefix(t.Context(), prefix); err != nil || !old.LastUsedAt.Equal(used) {
		t.Errorf("last used %v, want %s: once a minute, and never back", old.LastUsedAt, used)
	}
	list, err := db.APIKeys(t.Context())
	if err != nil || len(list) != 2 {
		t.Errorf("listed %d keys: %v", len(list), err)
	}
}

func TestKeyPrefix(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"lw_abc12_secret": "abc12", "lw_abc_s_e": "abc", "lw__secret": "", "lw_abc_": "", "lw_abc": "", "abc_def": "", "": "",
		"LW_abc_def": "",
	} {
		got, ok := store.KeyPrefix(key)
		if ok != (want != "") || ok && got != want {
			t.Errorf("KeyPrefix(%q) = %q, %t; want %q", key, got, ok, want)
		}
	}
}
