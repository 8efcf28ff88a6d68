// Package erasure is the key that erased people are recognised by, should a vendor tell of them again. It lies in a file beside
// the daemon and never in the database, so that nobody who has a dump can tell whom its hashes stand for.
package erasure
