// Package vendorapi is the one HTTP client through which every vendor is spoken to: it knows whether a request left this
// machine, sorts failures into kinds, keeps secrets out of errors and logs, and asks the account's budget before each request.
package vendorapi

import (
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/url"
	"strings"
)

const redacted = "[redacted]"

// Secret is a credential that prints, logs and marshals as a mask. Reveal is the only way to its text.
type Secret string

// Reveal returns the secret's text, for a request header or body and nothing else.
func (s Secret) Reveal() string { return string(s) }

// String returns the mask, or nothing when the secret is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString returns the mask, so that %#v does not show the secret.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue returns the mask for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns the mask, so that JSON and other encoders do not show the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Scrub replaces every secret in text, as it is and in the forms it takes in URLs, base64 and hex, by the mask.
// Secrets shorter than four characters are left alone: masking them would tear ordinary words apart.
func Scrub(text string, secrets ...Secret) string {
	for _, s := range secrets {
		plain := s.Reveal()
		if len(plain) < 4 {
			continue
		}
		for _, form := range []string{
			plain,
			url.QueryEscape(plain),
			url.PathEscape(plain),
			base64.StdEncoding.EncodeToString([]byte(plain)),
			base64.URLEncoding.EncodeToString([]byte(plain)),
			hex.EncodeToString([]byte(plain)),
		} {
			text = strings.ReplaceAll(text, form, redacted)
		}
	}
	return text
}
